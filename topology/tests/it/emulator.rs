//! The emulator on real sockets.
