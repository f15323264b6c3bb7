//! `ca`, `cert` and `key`.

use super::field::Field;
use super::model::Tls;
use super::reader::Section;

/// The three, of which the last two need each other. `None` when none is given.
pub(super) fn read(section: &Section<'_>) -> Option<Tls> {
    let file = |field: Option<Field<'_>>| Some(section.cx.path(field?.filled()?));
    let (ca, cert, key) = (section.get("ca"), section.get("cert"), section.get("key"));
    for (there, missing) in [(&cert, &key), (&key, &cert)] {
        if let (Some(there), None) = (there, missing) {
            let other = if there.key == "cert" { "key" } else { "cert" };
            there.bad(
                &format!("needs `{other}` too"),
                "give the certificate chain and its private key, both as PEM files",
            );
        }
    }
    let tls = Tls { ca: file(ca), cert: file(cert), key: file(key) };
    (tls != Tls::default()).then_some(tls)
}
