//! What users install: the Debian package and the tarball on a Debian system under systemd, the image in a container.
//! `./tests/run packages` makes both packages and a system, `./tests/run pi` a board, `./tests/run arm` an image.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod image;
mod life;
mod tarball;
mod traffic;

use life::{OWN, Site};
use std::path::PathBuf;
use tidegate_tests::machine::container::Container;
use tidegate_tests::machine::emulator::Emulator;
use tidegate_tests::port;
use traffic::Ports;

/// What `./tests/run` says.
fn given(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("set {name}, as ./tests/run packages does")).into()
}

/// On this processor, in a container.
#[test]
#[ignore = "boots a system: ./tests/run packages"]
fn container() {
    let machine = Container::boot(&given("TIDEGATE_MACHINE"));
    life::whole(&machine, &given("TIDEGATE_DEB"), &given("TIDEGATE_DEB_NEWER"));
}

/// The tarball, likewise.
#[test]
#[ignore = "boots a system: ./tests/run packages"]
fn tarball() {
    let machine = Container::boot(&given("TIDEGATE_MACHINE"));
    tarball::whole(&machine, &given("TIDEGATE_TARBALL"));
}

/// The image, in a container without systemd, or anything else.
#[test]
#[ignore = "starts a container: ./tests/run arm"]
fn image() {
    image::whole(&given("TIDEGATE_IMAGE"));
}

/// On a 64-bit ARM board, with its power cut.
#[test]
#[ignore = "boots an emulator, for minutes: ./tests/run pi"]
fn pi() {
    let ports = Ports { broker: port::reserve(), listener: port::reserve(), status: port::reserve() };
    let forwards = [(OWN.broker, ports.broker), (OWN.listener, ports.listener), (OWN.status, ports.status)];
    let board = Emulator::boot(&given("TIDEGATE_MACHINE"), &forwards);
    let mut site = Site::new(&board, ports);
    site.installs(&given("TIDEGATE_DEB"));
    site.takes_a_configuration();
    site.is_hardened();
    site.traffic.flows();
    site.outlives_a_power_cut(&board);
    site.is_upgraded(&given("TIDEGATE_DEB_NEWER"));
    site.is_purged();
}
