# `nix develop`: natsd on PATH, ready for `natsd -c configs/scion.conf`, and what it takes to work on it.
{ mkShell, natsd, cargo, rustc, clippy, rustfmt, just, go, python3 }:

mkShell {
  packages = [ natsd cargo rustc clippy rustfmt just go python3 ];
}
