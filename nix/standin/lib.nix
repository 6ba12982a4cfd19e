rec {
  genAttrs = names: f: builtins.listToAttrs (map (name: { inherit name; value = f name; }) names);
  importTOML = file: builtins.fromTOML (builtins.readFile file);
  cleanSource = src: builtins.filterSource (path: _: !(builtins.elem (baseNameOf path) [ ".git" "target" "result" ])) src;
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  licenses.asl20 = { spdxId = "Apache-2.0"; };
  platforms.linux = [ "x86_64-linux" "aarch64-linux" ];
  types = { package = "package"; attrs = "attrs"; path = "path"; nullOr = type: "null or ${type}"; };
  mkOption = option: option // { _type = "option"; };
  mkEnableOption = what: mkOption { default = false; description = "Whether to enable ${what}."; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
}
