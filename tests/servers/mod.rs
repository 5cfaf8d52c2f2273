//! Real database servers for tests: on a private port, in a folder of their own, started when the first test asks, stopped
//! when the test program ends, however it does.
//!
//! Without a server's package the tests that need it fail, unless `BUNTER_SKIP_SERVERS=1` is set.
#![allow(dead_code, reason = "every test program uses a part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use bunter::{Registry, RegistryAddress};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Mariadb,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mariadb => "mariadb",
        }
    }
}

/// A server that runs as long as this, or the process, lives.
pub(crate) struct Server {
    kind: Kind,
    port: u16,
    /// The script that looks after it, and ends it when its input ends.
    keeper: Mutex<(Child, BufReader<std::process::ChildStdout>)>,
}

impl Server {
    /// Starts a server; `safe`: every commit is synced. `None` when it is not there and need not be.
    pub(crate) fn start(kind: Kind, safe: bool) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/serve");
        let mut keeper = Command::new(script)
            .args([kind.name(), &port.to_string(), if safe { "safe" } else { "fast" }])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What is typed at the terminal is for the tests.
            .process_group(0)
            .spawn()
            .unwrap();
        let answers = BufReader::new(keeper.stdout.take().unwrap());
        let server = Self { kind, port, keeper: Mutex::new((keeper, answers)) };
        let told = server.answer();
        if told == "ready" {
            return Some(server);
        }
        assert_eq!(
            std::env::var("BUNTER_SKIP_SERVERS").as_deref(),
            Ok("1"),
            "{told}; `scripts/system-packages servers` installs it, BUNTER_SKIP_SERVERS=1 leaves these tests out"
        );
        eprintln!("skipped: {told}");
        None
    }

    fn answer(&self) -> String {
        let mut line = String::new();
        self.keeper.lock().unwrap().1.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn order(&self, what: &str) -> String {
        writeln!(self.keeper.lock().unwrap().0.stdin.as_mut().unwrap(), "{what}").unwrap();
        self.answer()
    }

    /// Kills the server, as a power cut would.
    pub(crate) fn kill(&self) {
        assert_eq!(self.order("stop"), "stopped");
    }

    /// Starts a killed server again.
    pub(crate) fn again(&self) {
        assert_eq!(self.order("start"), "ready");
    }

    /// The address of a registry of this name; it need not be there.
    pub(crate) fn address(&self, name: &str) -> RegistryAddress {
        self.url(name).parse().unwrap()
    }

    pub(crate) fn url(&self, name: &str) -> String {
        match self.kind {
            Kind::Postgres => format!("postgresql://postgres@127.0.0.1:{}/postgres?schema={name}", self.port),
            Kind::Mariadb => format!("mysql://root@127.0.0.1:{}/survey?prefix={name}", self.port),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap();
        drop(keeper.0.stdin.take());
        let _ = keeper.0.wait();
    }
}

/// The server that all tests of the program share: nothing is synced, so that it is quick.
pub(crate) fn shared(kind: Kind) -> Option<&'static Server> {
    static SERVERS: [OnceLock<Option<Server>>; 2] = [OnceLock::new(), OnceLock::new()];
    SERVERS[kind as usize].get_or_init(|| Server::start(kind, false)).as_ref()
}

/// The address of a new registry in the shared server, which nobody else uses.
pub(crate) fn new_address(kind: Kind) -> Option<RegistryAddress> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    Some(shared(kind)?.address(&format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed))))
}

/// A new registry in the shared server.
pub(crate) fn new_registry(kind: Kind) -> Option<Registry> {
    new_address(kind).map(|address| Registry::create_at(&address).unwrap())
}
