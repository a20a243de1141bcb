import Foundation
import MeridianCore

/// What the engine's own threads have in common: work that one of them finds for itself is done without waking
/// another.
///
/// A thread hop costs about 30 µs on an idle machine, several times what a step of a node costs. So a thread that
/// causes another node's event (a frame over a link without delay, a finished log write) steps that node itself, when
/// nobody else is doing so and it has nothing better to do. Clients' threads never do: they belong to Swift's
/// cooperative pool, and a step can read from SQLite.
enum EngineThread {
    /// The drivers that the current thread will step before it sleeps.
    private final class ReadyList {
        var drivers: [NodeDriver] = []
        var isRunning = false
    }

    /// Thread-specific, because an engine thread is a thread and not a task.
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let code = pthread_key_create(&key) { list in
            guard let list = list as UnsafeMutableRawPointer? else { return }
            Unmanaged<ReadyList>.fromOpaque(list).release()
        }
        precondition(code == 0, "no thread-specific key is left: \(code)")
        return key
    }()

    private static var current: ReadyList? {
        pthread_getspecific(key).map { Unmanaged<ReadyList>.fromOpaque($0).takeUnretainedValue() }
    }

    static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread {
            pthread_setspecific(key, Unmanaged.passRetained(ReadyList()).toOpaque())
            body()
        }
        thread.name = name
        thread.stackSize = 1 << 20
        thread.start()
    }

    /// Lowers the current thread's priority: its work can wait, commits cannot.
    static func yieldToOthers() {
        #if os(Linux)
            // On Linux this is the thread's own value. Where it may not be changed, nothing is lost but latency.
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
        #endif
    }

    /// Takes a driver on, if this is an engine thread.
    static func adopt(_ driver: NodeDriver) -> Bool {
        guard let current else { return false }
        current.drivers.append(driver)
        return true
    }

    /// Steps the drivers that this thread has taken on until there are none, or until the thread has better to do:
    /// the rest then goes to their own threads.
    static func runAdopted(while isFree: () -> Bool = { true }) {
        guard let current, !current.isRunning else { return }
        current.isRunning = true
        while !current.drivers.isEmpty {
            let driver = current.drivers.removeFirst()
            if isFree() { driver.run(limit: 2) } else { driver.wakeOwnThread() }
        }
        current.isRunning = false
    }
}
