//! Long work beside somebody who decides.

use std::thread::{self, JoinHandle};

/// How far long work stands back: the last of all. Metrics, an order of the queue and jobs run at once, and their shares add up.
#[cfg(target_os = "linux")]
const STANDS_BACK: i32 = 19;

/// A thread for work that may take long. On Linux it gives way: the next sentence comes first, also where training keeps every
/// processor busy. Elsewhere a priority is that of the whole process, and stays as it is.
pub(crate) fn in_background<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(move || {
        // This thread's own, and inherited by those that it starts. Where it cannot be had, the work is done all the same.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, STANDS_BACK);
        work()
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn long_work_and_what_it_starts_stand_back_and_whoever_decides_does_not() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let own = priority();
        let both = in_background(move || (priority(), thread::spawn(priority).join().unwrap())).join().unwrap();
        let back = STANDS_BACK.max(own);
        assert_eq!((both, priority()), ((back, back), own));
    }
}
