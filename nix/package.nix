{ lib, rustPlatform }:

let
  manifest = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = "natsd";
  version = manifest.workspace.package.version;
  src = lib.cleanSource ../.;
  cargoLock.lockFile = ../Cargo.lock;

  # The integration tests start Go's nats-server and the SCION reference programs; `.ci/run` does that.
  cargoTestFlags = [ "--workspace" "--lib" ];

  meta = {
    description = manifest.package.description;
    license = lib.licenses.asl20;
    mainProgram = "natsd";
    platforms = lib.platforms.linux;
  };
}
