//! What happens when a rank panics: it says where and what it was doing, and takes the job down with it.
//!
//! A panic ends one process; under MPI the others would wait for it in their next collective operation until the job's
//! time is over. So the hook installed here ends the whole job at once. Panics inside a quantum are the exception:
//! they are caught and become that quantum's failure.
#![cfg_attr(not(feature = "mpi"), expect(dead_code, reason = "a program that is alone has no one to take down"))]

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::ThreadId,
};

thread_local! {
    static ACTIVITIES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LAST_PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// How many threads of the process are inside a quantum: a panic of a thread that such a quantum started (rayon's
/// workers, say) is handed on to it.
static QUANTA: AtomicUsize = AtomicUsize::new(0);

static RANK: OnceLock<Rank> = OnceLock::new();

struct Rank {
    name: String,
    main: ThreadId,
    abort: fn(i32) -> !,
}

/// While this lives, messages about this thread's panic say what it was doing. Made by [`doing`].
#[derive(Debug)]
#[must_use = "the activity ends when this is dropped"]
pub struct Activity {
    not_send: std::marker::PhantomData<*const ()>,
}

/// Says what this thread is doing, in words that complete "panicked while …", until the result is dropped.
///
/// ```
/// let _reading = bunter::ranks::doing("reading the registry");
/// ```
pub fn doing(what: impl Into<String>) -> Activity {
    ACTIVITIES.with_borrow_mut(|a| a.push(what.into()));
    Activity { not_send: std::marker::PhantomData }
}

impl Drop for Activity {
    fn drop(&mut self) {
        // A thread that is ending may have no list any more.
        let _ = ACTIVITIES.try_with(|a| a.try_borrow_mut().map(|mut a| a.pop()));
    }
}

/// From now on a panic of this process ends all ranks of its job by `abort`. Called once, on the main thread.
pub(super) fn abort_on_panic(name: String, abort: fn(i32) -> !) {
    let main = std::thread::current().id();
    if RANK.set(Rank { name, main, abort }).is_err() {
        return;
    }
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| on_panic(info, &default)));
}

fn on_panic(info: &PanicHookInfo<'_>, default: &dyn Fn(&PanicHookInfo<'_>)) {
    let Some(rank) = RANK.get() else { return default(info) };
    let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
    let said = message(info.payload());
    let thread = std::thread::current().id();
    let in_quantum =
        CATCHING.try_with(Cell::get).unwrap_or(false) || (thread != rank.main && QUANTA.load(Ordering::Acquire) > 0);
    let what = ACTIVITIES
        .try_with(|a| a.try_borrow().ok().and_then(|a| a.last().cloned()))
        .ok()
        .flatten()
        .map_or_else(String::new, |a| format!(" while {a}"));
    if in_quantum {
        let _ = LAST_PLACE.try_with(|p| p.replace(Some(place.clone())));
        eprintln!("bunter: {} panicked{what}{place}: {said}. The quantum fails, the others go on", rank.name);
        return;
    }
    eprintln!("bunter: {} panicked{what}{place}: {said}. Ending all ranks", rank.name);
    default(info);
    (rank.abort)(101)
}

/// Runs `work`; a panic in it becomes an error that says what the panic said, and where.
pub(super) fn catching<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    struct Inside(bool);
    impl Drop for Inside {
        fn drop(&mut self) {
            QUANTA.fetch_sub(1, Ordering::AcqRel);
            CATCHING.set(self.0);
        }
    }
    QUANTA.fetch_add(1, Ordering::AcqRel);
    let inside = Inside(CATCHING.replace(true));
    LAST_PLACE.take();
    let result = catch_unwind(AssertUnwindSafe(work));
    drop(inside);
    result.map_err(|payload| {
        let said = format!("panicked{}: {}", LAST_PLACE.take().unwrap_or_default(), message(&*payload));
        // The payload's own drop may panic; it is small, and leaking it is the lesser evil.
        std::mem::forget(payload);
        said
    })
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_panic_says_what_it_said() {
        assert_eq!(catching(|| 5), Ok(5));
        let caught = catching(|| panic!("patch {} is upside down", 17)).map(|(): ()| ()).unwrap_err();
        assert_eq!(caught, "panicked: patch 17 is upside down");
        let caught = catching(|| std::panic::panic_any(5_u8)).map(|(): ()| ()).unwrap_err();
        assert_eq!(caught, "panicked: (no message)");
        assert!(!CATCHING.get());
    }

    #[test]
    fn activities_nest() {
        let current = || ACTIVITIES.with_borrow(|a| a.last().cloned());
        let _outer = doing("one");
        {
            let _inner = doing(String::from("two"));
            assert_eq!(current().as_deref(), Some("two"));
        }
        assert_eq!(current().as_deref(), Some("one"));
    }
}
