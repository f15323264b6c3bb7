//! Secrets: where they are, never what they are.

use super::field::Field;
use super::model::Secret;
use super::schema;

const EXAMPLE: &str = "{ file = \"token\" }, { credential = \"NAME\" } or { env = \"NAME\" }";

/// Reads `{ file | credential | env = "…" }`.
pub(super) fn read(field: &Field<'_>) -> Option<Secret> {
    if field.value.as_str().is_some() {
        field.cx.mask(field.span.clone());
        field
            .cx
            .error(field.span.clone(), format!("`{}` holds a secret in plain text", field.key))
            .label("does not belong in a configuration file")
            .help(format!(
                "put it in a file that only the service can read: {} = {{ file = \"{}\" }}; \
                 a systemd credential and an environment variable work too. Consider this one known",
                field.key, field.key
            ))
            .report();
        return None;
    }
    let section = field.section(&schema::SECRET, EXAMPLE)?;
    let file = section.get("file");
    let credential = section.get("credential");
    let env = section.get("env");
    let given = [&file, &credential, &env].into_iter().flatten().count();
    if given > 1 {
        field.bad("names more than one place", &format!("keep one: {EXAMPLE}"));
    }
    if given == 0 && !["file", "credential", "env"].iter().any(|key| section.misspelt(key)) {
        field.bad("does not say where the secret is", &format!("write {EXAMPLE}"));
    }
    section.finish();
    let secret = match (file, credential, env) {
        (Some(file), ..) => Secret::File(field.cx.path(file.filled()?)),
        (_, Some(name), _) => Secret::Credential(plain_name(&name, &['/', '\0'])?),
        (_, _, Some(name)) => Secret::Env(plain_name(&name, &['=', '\0'])?),
        _ => return None,
    };
    Some(secret)
}

fn plain_name(field: &Field<'_>, forbidden: &[char]) -> Option<String> {
    let name = field.filled()?;
    if name.contains(forbidden) || name == "." || name == ".." {
        field.bad("is not a name", "write the bare name, without a path and without `=`");
        return None;
    }
    Some(name.to_owned())
}
