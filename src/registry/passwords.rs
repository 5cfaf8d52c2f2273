//! Passwords from where the databases' own programs look for them.

use std::path::{Path, PathBuf};

use super::address::ServerAddress;

/// The password of a `PostgreSQL` server: of the address, `PGPASSWORD`, or the first line of `PGPASSFILE` (`~/.pgpass`) that
/// fits. As for `psql`, a file that others may read does not count.
#[cfg(feature = "postgres")]
pub(super) fn postgres(address: &ServerAddress, user: &str) -> Option<String> {
    if let Some(password) = address.password.clone().or_else(|| variable("PGPASSWORD")) {
        return Some(password);
    }
    let file = variable("PGPASSFILE").map_or_else(|| in_home(".pgpass"), |path| Some(PathBuf::from(path)))?;
    let host = match &address.socket {
        Some(_) => "localhost",
        None => address.host.as_deref().unwrap_or("localhost"),
    };
    let port = address.port.unwrap_or(5432).to_string();
    in_pgpass(&private_text(&file)?, [host, &port, &address.database, user])
}

/// The user, if any, and the password of a `MariaDB` or `MySQL` server: of the address, `MYSQL_PWD`, or `~/.my.cnf`.
#[cfg(feature = "mysql")]
pub(super) fn mysql(address: &ServerAddress) -> (Option<String>, Option<String>) {
    let file = in_home(".my.cnf").and_then(|path| private_text(&path)).unwrap_or_default();
    let user = address.user.clone().or_else(|| in_my_cnf(&file, "user"));
    let password = address.password.clone().or_else(|| variable("MYSQL_PWD")).or_else(|| in_my_cnf(&file, "password"));
    (user, password)
}

/// The name of whoever runs this.
pub(super) fn login() -> String {
    ["USER", "LOGNAME"].into_iter().find_map(variable).unwrap_or_else(|| "root".to_owned())
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn in_home(name: &str) -> Option<PathBuf> {
    variable("HOME").map(|home| Path::new(&home).join(name))
}

/// The text of a file that is its owner's alone.
fn private_text(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("{} is left out, for others can read it: chmod 600 {0}", path.display());
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// `host:port:database:user:password`, where `*` fits anything, and `\` takes away the meaning of `:` and `\`.
#[cfg(feature = "postgres")]
fn in_pgpass(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![String::new()];
        let mut signs = line.chars();
        while let Some(sign) = signs.next() {
            match sign {
                '\\' => fields.last_mut()?.extend(signs.next()),
                ':' if fields.len() < 5 => fields.push(String::new()),
                other => fields.last_mut()?.push(other),
            }
        }
        let fits = fields.len() == 5 && fields.iter().zip(wanted).all(|(field, value)| field == "*" || field == value);
        if fits { fields.pop() } else { None }
    })
}

/// A value of the group `[client]`.
#[cfg(feature = "mysql")]
fn in_my_cnf(text: &str, key: &str) -> Option<String> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[client]";
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            let value = value.trim();
            let bare = ['"', '\''].into_iter().find_map(|q| value.strip_prefix(q)?.strip_suffix(q)).unwrap_or(value);
            found = Some(bare.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "postgres")]
    #[test]
    fn lines_of_pgpass() {
        let text = "# a remark\nother:5432:db:me:wrong\ndb\\:1:*:*:m\\\\e:a:b\\\\c\n*:*:*:*:last";
        assert_eq!(super::in_pgpass(text, ["db:1", "1", "x", "m\\e"]).unwrap(), "a:b\\c");
        assert_eq!(super::in_pgpass(text, ["db", "1", "x", "me"]).unwrap(), "last");
        assert_eq!(super::in_pgpass("a:b:c", ["a", "b", "c", "d"]), None);
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn groups_of_my_cnf() {
        let text = "[mysqld]\npassword=no\n[client]\nuser = me\npassword='a=b'\n[mysql]\npassword=no";
        assert_eq!(super::in_my_cnf(text, "password").unwrap(), "a=b");
        assert_eq!(super::in_my_cnf(text, "user").unwrap(), "me");
        assert_eq!(super::in_my_cnf("password=x", "password"), None);
    }
}
