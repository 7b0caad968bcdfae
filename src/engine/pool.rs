//! The threads that compute: how many there are, and whether everybody else comes first.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use data::config::{Priority, Threads, TrainConfig};
use rayon::{ThreadPool, ThreadPoolBuilder};
use store::LogLevel;
use thread_priority::{ThreadPriority, ThreadPriorityValue};

/// Deep recursion is not planned, but a stack costs only what is touched.
pub const STACK_BYTES: usize = 64 << 20;

/// Of 99: niceness 10 on Linux, below normal on Windows.
const GENTLE: u8 = 22;

/// What work asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    pub threads: usize,
    /// Whatever else wants the processor has it first, the window before all.
    pub gentle: bool,
}

impl PoolOptions {
    /// What a run asks for; `self` is what `"auto"` stands for.
    pub fn of(self, config: &TrainConfig) -> Self {
        Self {
            threads: match config.threads {
                Threads::Auto => self.threads,
                Threads::Count(count) => count,
            },
            gentle: match config.priority {
                Priority::Auto => self.gentle,
                Priority::Gentle => true,
                Priority::Full => false,
            },
        }
    }
}

/// Threads at work, started for as long as this lives.
pub struct Pool {
    options: PoolOptions,
    threads: ThreadPool,
    /// Why the system left the priority as it was.
    refused: Arc<OnceLock<String>>,
}

impl Pool {
    pub fn start(options: PoolOptions) -> io::Result<Self> {
        let refused = Arc::new(OnceLock::new());
        let answer = Arc::clone(&refused);
        let threads = pool_of(options.threads, move || {
            if options.gentle
                && let Err(reason) = stand_back()
            {
                // All threads get the same answer.
                answer.set(reason).ok();
            }
        })?;
        Ok(Self { options, threads, refused })
    }

    pub fn options(&self) -> PoolOptions {
        self.options
    }

    /// Runs `work` on one of the threads, with the others at its call.
    pub fn work<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.threads.install(work)
    }

    /// For the log of a run.
    pub fn remark(&self) -> (LogLevel, String) {
        let threads = match self.options.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        match self.refused.get() {
            Some(reason) => (
                LogLevel::Warning,
                format!("Computes with {threads} at the usual priority: the system refuses a lower one ({reason})"),
            ),
            None if self.options.gentle => {
                (LogLevel::Info, format!("Computes with {threads} at a lower priority than other programs"))
            }
            None => (LogLevel::Info, format!("Computes with {threads}")),
        }
    }
}

/// The pool every computation runs on; also for work without an engine, such as scoring from the command line.
pub fn compute_pool(threads: usize) -> io::Result<ThreadPool> {
    pool_of(threads, || {})
}

fn pool_of(threads: usize, begin: impl Fn() + Send + Sync + 'static) -> io::Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .thread_name(|index| format!("nudge-compute-{index}"))
        .start_handler(move |_| {
            #[expect(unsafe_code, reason = "the floating-point control register has no safe face")]
            // SAFETY: the thread is this pool's own and runs the kernels and what feeds them, which have no use for
            // denormal numbers; it ends with the pool.
            unsafe {
                kernels::flush_denormals();
            }
            begin();
        })
        .build()
        .map_err(io::Error::other)
}

/// Lowers the calling thread's priority, for good: an ordinary user may not raise it again.
fn stand_back() -> Result<(), String> {
    // Elsewhere the call would lower the whole program, its window too.
    if !cfg!(any(target_os = "linux", target_os = "macos", target_os = "windows")) {
        return Err("it has none for single threads".to_owned());
    }
    let priority = ThreadPriorityValue::try_from(GENTLE)?;
    ThreadPriority::Crossplatform(priority).set_for_current().map_err(|error| match error {
        thread_priority::Error::OS(code) => io::Error::from_raw_os_error(code).to_string(),
        other => other.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_counts_and_the_rest_follows_the_place() {
        let place = PoolOptions { threads: 3, gentle: true };
        let of = |threads, priority| place.of(&TrainConfig { threads, priority, ..TrainConfig::default() });
        assert_eq!(of(Threads::Auto, Priority::Auto), place);
        let other = of(Threads::Count(8), Priority::Full);
        assert_eq!((other.threads, other.gentle), (8, false));
    }

    /// The niceness of the calling thread, the 19th field of its line.
    #[cfg(target_os = "linux")]
    fn niceness() -> i32 {
        let line = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = line.rsplit_once(')').unwrap().1;
        after_name.split_whitespace().nth(16).unwrap().parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn gentle_threads_stand_back_and_nobody_else() {
        let before = niceness();
        if before >= 10 {
            return; // As low as that already.
        }
        let pool = |gentle| Pool::start(PoolOptions { threads: 2, gentle }).unwrap();
        let gentle = pool(true);
        assert_eq!(gentle.work(niceness), 10);
        assert_eq!(gentle.remark().0, LogLevel::Info);
        assert_eq!(pool(false).work(niceness), before);
        assert_eq!(niceness(), before);
    }
}
