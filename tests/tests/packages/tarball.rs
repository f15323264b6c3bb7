//! The life of a tarball: what `install.sh` puts there, replaces and takes away again.

use crate::life::{OWN, Site};
use std::path::Path;
use tidegate_tests::machine::Machine;

/// All of it.
pub(crate) fn whole(machine: &dyn Machine, tarball: &Path) {
    machine.put(tarball, "/root/unpacked.tar.gz");
    machine
        .run("mkdir /root/unpacked && tar -xzf /root/unpacked.tar.gz -C /root/unpacked --strip-components 1");
    machine.run("rm /root/unpacked.tar.gz");
    let install = |site: &Site<'_>| drop(site.machine.run("/root/unpacked/install.sh"));
    let mut site = Site::new(machine, OWN);
    install(&site);
    assert_eq!(machine.attempt("systemctl is-enabled tidegate").1.trim(), "disabled");
    machine.run("tidegate check");
    site.takes_a_configuration();
    site.is_hardened();
    site.traffic.flows();
    site.is_replaced(install);
    machine.run("test -s /etc/tidegate/tidegate.toml.new");
    site.goes_on_after(|site| {
        machine.run("/root/unpacked/install.sh --remove");
        site.is_gone();
        install(site);
        site.is_enabled();
    });
    machine.run("/root/unpacked/install.sh --purge");
    site.left_nothing();
}
