//! The machine of the UPS owner: NUT with its driver, a data disk in use, and the agent as the
//! package runs it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cluster_file::{CLUSTER_FILE, PASSWORD_FILE};
use crate::debian::container::Container;
use crate::debian::data_disk::DataDisk;
use crate::debian::device;
use crate::debian::tree;
use crate::directory::{write, write_program};
use crate::host::Host;
use crate::nut::{PASSWORD, PORT, UPS, USER};
use crate::process::run;

/// How the owner's machine is set up.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// The operator has proven that the UPS comes back (`returns = true`), and its driver knows the
    /// cut.
    pub does_return: bool,
    /// The first of the others has one of its exports mounted, by its own account.
    pub is_mounted: bool,
    /// `/var` is a small disk of its own.
    pub has_var: bool,
    /// Further files, each with its place and its text.
    pub files: Vec<(&'static str, String)>,
}

/// The machine with its disk; dropped in this order.
#[derive(Debug)]
pub struct Machine {
    container: Container,
    disk: DataDisk,
    /// `/var`, if it has one of its own.
    var: Option<DataDisk>,
}

impl Machine {
    /// Installs the owner's machine, which is off, in `folder`, with the files of the cluster that
    /// lie in the laboratory's folder `common`.
    pub fn install(
        setup: &Server,
        name: &str,
        folders: Folders<'_>,
        namespace: &str,
    ) -> Result<Self> {
        let Folders { own, common, ups } = folders;
        let layers = tree::installed(&tree::binary()?)?;
        let mut container = Container::new(name, own, namespace, &layers)?;
        let disk = DataDisk::make(&own.join("data.img"))?;
        container.bind(Path::new(disk.device()), disk.device(), true);
        container.bind(ups, device::FOLDER, false);
        let var = setup.has_var.then(|| var_disk(own, &container.root())).transpose()?;
        if let Some(var) = &var {
            container.bind(Path::new(var.device()), var.device(), true);
        }
        let root = container.root();
        let put = |path: &str, text: &str| write(&root.join(path), text);
        put("etc/hostname", &format!("{}\n", Host::Nfs))?;
        put("etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {}\n", Host::Nfs))?;
        put("etc/systemd/system/srv-media.mount", &mount_unit(&disk, DATA))?;
        if let Some(var) = &var {
            put("etc/systemd/system/var.mount", &mount_unit(var, "/var"))?;
        }
        put("etc/nut/nut.conf", "MODE=netserver\n")?;
        put("etc/nut/ups.conf", &ups_conf())?;
        put("etc/nut/upsd.conf", &format!("LISTEN {} {PORT}\nMAXAGE 15\n", Host::Nfs.address()))?;
        put("etc/nut/upsd.users", &users())?;
        put("etc/systemd/system/media.service", MEDIA)?;
        put("etc/systemd/system/curfew.service.d/boot-id.conf", BOOT_ID)?;
        put("etc/systemd/system/lab-boot-id.service", COPY_BOOT_ID)?;
        put("etc/systemd/system/run-sys.mount", SYSFS)?;
        put(CLUSTER_FILE.trim_start_matches('/'), &read(&common.join("cluster.toml"))?)?;
        put(PASSWORD_FILE.trim_start_matches('/'), PASSWORD)?;
        copy(&common.join("pki").join(Host::Nfs.name()), &root.join("etc/curfew/pki"))?;
        if setup.does_return {
            let (driver, real) = (root.join("lib/nut/dummy-ups"), root.join("lib/nut/real"));
            fs::create_dir_all(&real).context("make a folder for the driver")?;
            fs::rename(&driver, real.join("dummy-ups")).context("move the driver")?;
            write_program(&driver, DRIVER)?;
        }
        for (path, text) in &setup.files {
            put(path.trim_start_matches('/'), text)?;
        }
        run("chroot", [root.as_os_str(), "/bin/sh".as_ref(), "-ec".as_ref(), FINISH.as_ref()])
            .context("finish the owner's machine")?;
        Ok(Self { container, disk, var })
    }

    /// Returns the machine.
    pub const fn container(&self) -> &Container {
        &self.container
    }

    /// Returns the machine, to change it.
    pub const fn container_mut(&mut self) -> &mut Container {
        &mut self.container
    }

    /// Cuts its power; its disks stay as they are in that moment.
    pub fn cut(&mut self) -> Result<()> {
        if !self.container.is_on() {
            return Ok(());
        }
        let Self { container, disk, var } = self;
        let disks = || std::iter::once(&*disk).chain(var.as_ref());
        disks().try_for_each(DataDisk::keep_for_cut)?;
        container.cut()?;
        disks().try_for_each(DataDisk::restore_cut)
    }

    /// Returns its data disk, mounted at [`DATA`].
    pub const fn disk(&self) -> &DataDisk {
        &self.disk
    }
}

/// Where everything is on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// The owner's.
    pub own: &'a Path,
    /// The laboratory's, with the cluster file and the certificates.
    pub common: &'a Path,
    /// The UPS's.
    pub ups: &'a Path,
}

/// Makes a disk with what is in `/var`.
fn var_disk(own: &Path, root: &Path) -> Result<DataDisk> {
    let image = own.join("var.img");
    // What dpkg and man keep there is not needed to run, and would not fit.
    let content = own.join("var");
    fs::create_dir_all(content.join("lib")).context("make a folder")?;
    for name in ["lib/systemd", "lib/nut", "lib/curfew", "lib/dbus"] {
        if root.join("var").join(name).is_dir() {
            let from = root.join("var").join(name);
            run("cp", ["-a".as_ref(), from.as_os_str(), content.join(name).as_os_str()])?;
        }
    }
    DataDisk::make_with(&image, &content)
}

/// A unit instead of a line in fstab, which systemd passes over in a container where it names a
/// device.
fn mount_unit(disk: &DataDisk, place: &str) -> String {
    format!(
        "[Unit]\nDescription=A disk at {place}\nBefore=local-fs.target\n\
         [Mount]\nWhat={}\nWhere={place}\nType=ext4\n[Install]\nRequiredBy=local-fs.target\n",
        disk.device()
    )
}

fn ups_conf() -> String {
    let (folder, file) = (device::FOLDER, device::FILE);
    format!(
        "maxretry = 3\npollinterval = 1\n[{UPS}]\n  driver = dummy-ups\n  \
         port = {folder}/{file}\n  mode = dummy-once\n"
    )
}

fn users() -> String {
    format!(
        "[{USER}]\n  password = {PASSWORD}\n  actions = SET FSD\n  instcmds = ALL\n  \
         upsmon primary\n"
    )
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

fn copy(from: &Path, to: &PathBuf) -> Result<()> {
    fs::create_dir_all(to).context("make a folder")?;
    for entry in fs::read_dir(from).context("list a folder")?.flatten() {
        fs::copy(entry.path(), to.join(entry.file_name())).context("copy a file")?;
    }
    Ok(())
}

/// Where the data disk is mounted.
pub const DATA: &str = "/srv/media";
/// What the data disk is there for: a service that always has a file open on it and writes.
const MEDIA: &str = "[Unit]\nDescription=Writes to the data disk\nRequiresMountsFor=/srv/media\n\
    [Service]\nExecStart=/bin/sh -c \
    'exec 3>>/srv/media/log; while echo line >&3; do sleep 0.2; done'\n\
    [Install]\nWantedBy=multi-user.target\n";
/// The number of a container's boot is mounted over that of the kernel, which is this machine's;
/// the agent's own /proc would show it the one below, the same in each boot. As a copy, since the
/// kernel mounts no file anew that was removed, as nspawn does with it.
const BOOT_ID: &str = "[Unit]\nRequires=lab-boot-id.service\nAfter=lab-boot-id.service\n\
    [Service]\nBindReadOnlyPaths=/run/boot-id:/proc/sys/kernel/random/boot_id\n";
const COPY_BOOT_ID: &str = "[Service]\nType=oneshot\nRemainAfterExit=yes\n\
    ExecStart=/bin/sh -c 'cat /proc/sys/kernel/random/boot_id > /run/boot-id'\n";
/// The container's `/sys` shows the network of this machine; this one shows its own: see
/// `cluster_file.rs`.
const SYSFS: &str = "[Mount]\nWhat=sysfs\nWhere=/run/sys\nType=sysfs\nOptions=ro\n\
    [Install]\nRequiredBy=local-fs.target\n";
/// A driver that knows the cut: dummy-ups for all else. It tells the laboratory by the kernel log,
/// as a cable would carry the command to the UPS. The name is that of the real one, by which
/// `upsd` finds its socket.
const DRIVER: &str = "#!/bin/sh\nfor word; do\n\tif [ \"$word\" = -k ]; then\n\
    \t\techo 'lab-ups: shutdown.return' > /dev/kmsg\n\t\texit 0\n\tfi\ndone\n\
    exec /lib/nut/real/dummy-ups \"$@\"\n";
/// Owners and permissions, as a person sets them by the manual, and what is enabled.
const FINISH: &str = "chgrp nut /etc/nut/*; chmod 0640 /etc/nut/*; \
    chown -R root:curfew /etc/curfew; chmod -R u=rwX,g=rX,o= /etc/curfew; mkdir -p /srv/media; \
    systemctl enable --quiet curfew.service media.service nut-server.service srv-media.mount \
    run-sys.mount; \
    [ ! -e /etc/systemd/system/var.mount ] || systemctl enable --quiet var.mount; \
    systemctl mask --quiet nut-monitor.service";
