//! Network descriptions and the lab that runs them: in-process emulator or the reference SCION programs.
