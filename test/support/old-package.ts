import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const CONTROL = `Package: twindb-backup
Version: 3.3.0-1
Architecture: amd64
Maintainer: nobody <nobody@example.com>
Description: stands for the predecessor
`;

/** What the predecessor's package does: its files in /etc and its link belong to no package, and a purge deletes them. */
const POSTINST = `#!/bin/sh
mkdir -p /etc/twindb /var/log/twindb-backup
mv /opt/twindb-backup/twindb-backup.cfg /etc/twindb/twindb-backup.cfg
chmod 600 /etc/twindb/twindb-backup.cfg
mv /opt/twindb-backup/twindb-backup.cron /etc/cron.d/twindb-backup
ln -sf /opt/twindb-backup/bin/twindb-backup /usr/bin
`;

const POSTRM = `#!/bin/sh
if [ "$1" = purge ]; then
  rm -rf /opt/twindb-backup /var/log/twindb-backup
  rm -f /etc/twindb/twindb-backup.cfg /etc/cron.d/twindb-backup /usr/bin/twindb-backup
fi
`;

/** A later fix of somebody who took an upgrade for the end: deletes all of it whenever it is called. */
const CARELESS = POSTRM.replace('if [ "$1" = purge ]', "if true").replace("rm -rf /opt/twindb-backup ", "rm -rf ");

const CONFIG = `[source]
backup_dirs="/etc"

[destination]
backup_destination=local

[local]
backup_dir=/var/backup/twindb

[retention]
hourly_copies=1
daily_copies=1
weekly_copies=1
monthly_copies=1
yearly_copies=1

[intervals]
run_hourly=yes
run_daily=yes
run_weekly=yes
run_monthly=yes
run_yearly=yes
`;

/** Write `name` into `directory`: a package as the predecessor's, whose removal scripts are careful or not. */
export function writeOldPackage(directory: string, name: string, { isCareful }: { isCareful: boolean }): void {
  const tree = mkdtempSync(join(tmpdir(), "twindb-old-package-"));
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text, { mode });
  };
  write("DEBIAN/control", CONTROL);
  write("DEBIAN/postinst", POSTINST, 0o755);
  write("DEBIAN/postrm", isCareful ? POSTRM : CARELESS, 0o755);
  write("opt/twindb-backup/twindb-backup.cfg", CONFIG);
  write("opt/twindb-backup/twindb-backup.cron", "@daily root twindb-backup backup daily\n");
  write("opt/twindb-backup/bin/twindb-backup", "#!/bin/sh\necho 3.3.0\n", 0o755);
  write("opt/twindb-backup/embedded/lib/backup.py", "# what it runs\n");
  execFileSync("dpkg-deb", ["--root-owner-group", "-Znone", "--build", tree, join(directory, name)]);
  rmSync(tree, { recursive: true });
}
