# The few functions of nixpkgs that natsd's flake calls, over the host's own bash and cargo: where nixpkgs cannot be
# had, `.ci/nix` evaluates and builds the flake against this.
{
  outputs = _: {
    lib = import ./lib.nix;
    legacyPackages = import ./packages.nix;
  };
}
