{
  description = "natsd: a path-aware, SCION-first edge messaging server that speaks NATS";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      eachSystem = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      package = pkgs: pkgs.callPackage ./nix/package.nix { };
    in
    {
      packages = eachSystem (pkgs: rec {
        natsd = package pkgs;
        default = natsd;
      });

      apps = eachSystem (pkgs: rec {
        natsd = {
          type = "app";
          program = "${package pkgs}/bin/natsd";
        };
        default = natsd;
      });

      devShells = eachSystem (pkgs: {
        default = pkgs.callPackage ./nix/shell.nix { natsd = package pkgs; };
      });

      checks = eachSystem (pkgs: {
        package = package pkgs;
        configs = pkgs.callPackage ./nix/check-configs.nix { natsd = package pkgs; };
      });

      overlays.default = final: _: { natsd = package final; };

      nixosModules = rec {
        natsd = import ./nix/module.nix self;
        default = natsd;
      };
    };
}
