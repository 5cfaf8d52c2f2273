//! [`RegistryAddress`]: where a registry is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::RegistryError;

/// Where a registry is: a file, or a database of a server.
///
/// | address | meaning |
/// |---|---|
/// | `sqlite:registry.sqlite3` | a file in the repository's folder |
/// | `sqlite:///data/registry.sqlite3`, `sqlite:/data/…` | a file |
/// | `postgresql://user@host:5432/database?schema=hsc` | a schema (`bunter` unless named) of a `PostgreSQL` database |
/// | `mysql://user@host:3306/database?prefix=hsc` | tables whose names begin with `hsc_`, in a `MariaDB` or `MySQL` database |
///
/// Schema and prefix keep several repositories apart in one database: at most 30 small letters, digits and underscores,
/// beginning with a letter. `?socket=/run/…` instead of host and port means a local socket (of `PostgreSQL` its folder). Odd
/// signs in user and database are written `%40`.
///
/// A password is best not in an address: it is looked for where the databases' own programs do: `PGPASSWORD`, `PGPASSFILE`,
/// `~/.pgpass`; `MYSQL_PWD`, `~/.my.cnf`. It is never shown.
///
/// ```
/// let address: bunter::RegistryAddress = "postgresql://me:secret@db/survey?schema=hsc".parse()?;
/// assert_eq!(address.to_string(), "postgresql://me@db/survey?schema=hsc");
/// assert!(!format!("{address:?}").contains("secret"));
/// # Ok::<(), bunter::RegistryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryAddress {
    /// An `SQLite` file; relative to the repository's folder, or else to the working directory.
    Sqlite(PathBuf),
    /// A schema of a `PostgreSQL` database.
    Postgres(ServerAddress),
    /// Tables in a `MariaDB` or `MySQL` database.
    Mysql(ServerAddress),
}

/// A database of a server, and the part of it that is one registry's.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) socket: Option<String>,
    pub(super) database: String,
    /// Schema, or prefix of tables.
    pub(super) namespace: Option<String>,
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerAddress")
            .field("user", &self.user)
            .field("host", &self.host)
            .field("port", &self.port)
            .field("socket", &self.socket)
            .field("database", &self.database)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl RegistryAddress {
    /// A file's address, when relative taken from `root`; another address as it is.
    #[must_use]
    pub fn at(self, root: &Path) -> Self {
        match self {
            Self::Sqlite(path) => Self::Sqlite(root.join(path)),
            other => other,
        }
    }

    /// Whether there is a password in it, which should stand elsewhere.
    pub fn has_password(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(server) | Self::Mysql(server) => server.password.is_some(),
        }
    }
}

impl fmt::Display for RegistryAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, key, server) = match self {
            Self::Sqlite(path) => return write!(f, "sqlite:{}", path.display()),
            Self::Postgres(server) => ("postgresql", "schema", server),
            Self::Mysql(server) => ("mysql", "prefix", server),
        };
        write!(f, "{scheme}://")?;
        if let Some(user) = &server.user {
            write!(f, "{}@", encoded(user))?;
        }
        match server.host.as_deref().unwrap_or_default() {
            host if host.contains(':') => write!(f, "[{host}]")?,
            host => f.write_str(host)?,
        }
        if let Some(port) = server.port {
            write!(f, ":{port}")?;
        }
        write!(f, "/{}", encoded(&server.database))?;
        let options = [("socket", server.socket.as_deref()), (key, server.namespace.as_deref())];
        let mut sign = '?';
        for (name, value) in options {
            if let Some(value) = value {
                write!(f, "{sign}{name}={}", encoded(value))?;
                sign = '&';
            }
        }
        Ok(())
    }
}

impl FromStr for RegistryAddress {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Self, RegistryError> {
        // What is wrong is told without the text itself: there may be a password in it.
        let invalid = |reason: String| RegistryError::Invalid { what: "the address of a registry".to_owned(), reason };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(invalid("it must begin with `sqlite:`, `postgresql://` or `mysql://`".to_owned()));
        };
        if text.contains('\0') {
            return Err(invalid("there is a NUL in it".to_owned()));
        }
        match scheme {
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err(invalid("`sqlite:` wants a file".to_owned())),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            },
            "postgresql" | "postgres" => server(rest, "schema").map(Self::Postgres).map_err(invalid),
            "mysql" | "mariadb" => server(rest, "prefix").map(Self::Mysql).map_err(invalid),
            _ => Err(invalid("it must begin with `sqlite:`, `postgresql://` or `mysql://`".to_owned())),
        }
    }
}

fn server(rest: &str, namespace_key: &str) -> Result<ServerAddress, String> {
    let rest = rest.strip_prefix("//").ok_or("`//` must follow the kind of database")?;
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').ok_or("it names no database: …/DATABASE")?;
    let (login, host) = authority.rsplit_once('@').map_or(("", authority), |(login, host)| (login, host));
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    let (host, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map(|p| p.parse::<u16>().map_err(|_| "its port is no number up to 65535")).transpose()?;
    let some = |text: &str| Ok::<_, String>(Some(decoded(text)?).filter(|t| !t.is_empty()));
    let mut address = ServerAddress {
        user: some(user)?,
        password: password.map(decoded).transpose()?,
        host: some(host)?,
        port,
        socket: None,
        database: some(database)?.ok_or("it names no database: …/DATABASE")?,
        namespace: None,
    };
    for option in options.split('&').filter(|o| !o.is_empty()) {
        let (key, value) = option.split_once('=').ok_or("what follows `?` must be KEY=VALUE")?;
        match key {
            "socket" => address.socket = some(value)?,
            _ if key == namespace_key => {
                let good = value.len() <= 30
                    && value.starts_with(|c: char| c.is_ascii_lowercase())
                    && value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                if !good {
                    return Err(format!(
                        "its {key} must be of at most 30 small letters, digits and underscores, and begin with a letter"
                    ));
                }
                address.namespace = Some(value.to_owned());
            }
            _ => return Err(format!("it has an option other than `{namespace_key}` and `socket`")),
        }
    }
    Ok(address)
}

fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let byte = rest
            .get(..2)
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
            .filter(|byte| *byte != 0)
            .ok_or("a `%` in it is not followed by two hexadecimal digits of a sign")?;
        bytes.push(byte);
        rest = rest.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_back_without_their_passwords() {
        for (text, shown) in [
            ("sqlite:registry.sqlite3", "sqlite:registry.sqlite3"),
            ("sqlite:///data/r.sqlite3", "sqlite:/data/r.sqlite3"),
            ("postgres://db/survey", "postgresql://db/survey"),
            ("postgresql://a%40b:p%3Aq@[::1]:5433/s?schema=hsc", "postgresql://a%40b@[::1]:5433/s?schema=hsc"),
            ("mysql://me:@/s?prefix=a_1&socket=/run/my.sock", "mysql://me@/s?socket=/run/my.sock&prefix=a_1"),
        ] {
            let address: RegistryAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), shown);
            let again: RegistryAddress = shown.parse().unwrap();
            assert_eq!(again.to_string(), shown);
        }
    }

    #[test]
    fn bad_addresses_are_refused_and_not_repeated() {
        for text in [
            "secret",
            "secret:x",
            "sqlite:",
            "mysql://u:secret@h",
            "mysql://u:secret@h/",
            "mysql:u:secret@h/db",
            "mysql://u:secret@h:port/db",
            "mysql://u:secret@h/db?schema=x",
            "postgresql://u:secret@h/db?schema=a'b",
            "postgresql://u:secret@h/db?schema=1a",
            "postgresql://u:secret@h/db?schema=",
            "mysql://u:secret%@h/db",
            "mysql://u:secret@h/d%00b",
            "postgresql://u:secret@h/db?sslmode=require",
            "postgresql://u:secret@h/db?x",
        ] {
            let error = text.parse::<RegistryAddress>().unwrap_err().to_string();
            assert!(error.contains("the address of a registry cannot"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
