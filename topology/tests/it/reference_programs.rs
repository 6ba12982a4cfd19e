//! The reference end-host programs against the emulator.
