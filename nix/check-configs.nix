# Every sample configuration is one that the built server accepts.
{ runCommand, natsd }:

runCommand "natsd-configs" { } ''
  for file in ${../configs}/*.conf; do
    ${natsd}/bin/natsd -t -c "$file"
  done
  touch "$out"
''
