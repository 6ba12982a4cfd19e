let
  lib = import ./lib.nix;
  host = builtins.getEnv "NATSD_HOST_PATH";

  forSystem = system:
    let
      run = name: attrs: script: derivation (attrs // {
        inherit name system;
        builder = "/bin/bash";
        args = [ "-e" "-u" "-c" ("export PATH=${host}\n" + script) ];
      });
      packages = {
        inherit lib run;
        runCommand = name: attrs: script: run name attrs script;
        writeText = name: text: builtins.toFile name text;
        stdenv.hostPlatform = { inherit system; };

        mkShell = { packages }: run "shell" { inherit packages; } ''touch "$out"'';

        rustPlatform.buildRustPackage = { pname, version, src, cargoLock, meta, ... }:
          (run "${pname}-${version}" { inherit src; lock = cargoLock.lockFile; } ''
            cmp "$src/Cargo.lock" "$lock"
            cp -r "$src" source && chmod -R u+w source && cd source
            export HOME=${builtins.getEnv "HOME"} CARGO_TARGET_DIR=${builtins.getEnv "NATSD_TARGET"}
            cargo build --release --locked
            mkdir -p "$out/bin" && cp "$CARGO_TARGET_DIR/release/${pname}" "$out/bin/"
          '') // { inherit meta pname version; };

        callPackage = file: extra:
          let f = import file;
          in f (builtins.intersectAttrs (builtins.functionArgs f) packages // extra);
      } // lib.genAttrs [ "cargo" "rustc" "clippy" "rustfmt" "just" "go" "python3" ] (tool: run tool { } ''
        mkdir -p "$out/bin"
        ln -s "$(command -v ${tool} || echo /nonexistent/${tool})" "$out/bin/${tool}"
      '');
    in
    packages;
in
lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] forSystem
