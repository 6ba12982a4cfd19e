# services.natsd: a hardened unit that starts after the SCION daemon, reloads nothing by itself and stops by lame duck.
self:
{ config, lib, pkgs, ... }:

let
  cfg = config.services.natsd;
  configuration =
    if cfg.configFile != null then cfg.configFile
    else pkgs.writeText "natsd.conf" (builtins.toJSON cfg.settings);
in
{
  options.services.natsd = {
    enable = lib.mkEnableOption "natsd, a NATS server over SCION and TCP/IP";

    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.natsd;
      description = "The natsd package to run.";
    };

    settings = lib.mkOption {
      type = lib.types.attrs;
      default = { listen = "127.0.0.1:4222"; };
      example = {
        listen = "0.0.0.0:4222";
        scion.path_preference = "bandwidth,latency";
      };
      description = "The configuration, as in docs/configuration.md.";
    };

    configFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      description = "A configuration file to use in place of `settings`.";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.natsd = {
      description = "natsd, a NATS server over SCION and TCP/IP";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" "scion-daemon.service" ];

      serviceConfig = {
        ExecStartPre = "${lib.getExe cfg.package} -t -c ${configuration}";
        ExecStart = "${lib.getExe cfg.package} -c ${configuration}";
        KillSignal = "SIGUSR2";
        TimeoutStopSec = 150;
        Restart = "always";
        RestartSec = 1;
        DynamicUser = true;
        # Where the authority of the cluster is kept.
        StateDirectory = "natsd";
        StateDirectoryMode = "0700";
        LimitNOFILE = 800000;

        CapabilityBoundingSet = "";
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectSystem = "strict";
        RestrictAddressFamilies = [ "AF_INET" "AF_INET6" ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [ "@system-service" "~@privileged" ];
      };
    };
  };
}
