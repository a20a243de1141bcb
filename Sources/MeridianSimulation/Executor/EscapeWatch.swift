import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Notices when a job of a simulated run is given to one of Swift's own executors.
///
/// The runtime calls hooks, where they are set, for every job that goes to its global executor, with a delay or
/// without, and to the main one (`swift_task_enqueueGlobal_hook` and its kin, which the concurrency library exports for
/// such uses). A thread that runs a `SeededExecutor` marks itself; jobs that are enqueued on such a thread
/// have escaped, and all others go where they would. Where the hooks are missing, what other threads resume is still
/// noticed, and what never comes back ends the run by `SimulationError.unfinished`.
enum EscapeWatch {
    private typealias Original = @convention(thin) (UnownedJob) -> Void
    private typealias Hook = @convention(thin) (UnownedJob, Original) -> Void
    private typealias DelayOriginal = @convention(thin) (UInt64, UnownedJob) -> Void
    private typealias DelayHook = @convention(thin) (UInt64, UnownedJob, DelayOriginal) -> Void
    private typealias DeadlineOriginal =
        @convention(thin) (Int64, Int64, Int64, Int64, Int32, UnownedJob) -> Void
    private typealias DeadlineHook =
        @convention(thin) (Int64, Int64, Int64, Int64, Int32, UnownedJob, DeadlineOriginal) -> Void

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        let code = pthread_key_create(&key, nil)
        precondition(code == 0, "no thread-specific key is left: \(code)")
        return key
    }()

    static func enter(_ executor: SeededExecutor) {
        pthread_setspecific(key, Unmanaged.passUnretained(executor).toOpaque())
    }

    static func leave() { pthread_setspecific(key, nil) }

    private static var current: SeededExecutor? {
        pthread_getspecific(key).map { Unmanaged<SeededExecutor>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Sets the hooks, once for the process.
    static func install() { _ = installed }

    private static let installed: Bool = {
        guard let global = symbol("swift_task_enqueueGlobal_hook", as: Hook?.self) else { return false }
        global.pointee = { job, original in
            guard let executor = EscapeWatch.current else { return original(job) }
            executor.recapture(job, "a task was started outside of the simulation" + culprit())
        }
        symbol("swift_task_enqueueMainExecutor_hook", as: Hook?.self)?.pointee = { job, original in
            guard let executor = EscapeWatch.current else { return original(job) }
            executor.recapture(job, "the main actor was called" + culprit())
        }
        symbol("swift_task_enqueueGlobalWithDelay_hook", as: DelayHook?.self)?.pointee = { delay, job, original in
            guard let executor = EscapeWatch.current else { return original(delay, job) }
            executor.recapture(job, "real time was slept (Task.sleep)" + culprit())
        }
        symbol("swift_task_enqueueGlobalWithDeadline_hook", as: DeadlineHook?.self)?.pointee = {
            seconds, nanoseconds, leewaySeconds, leewayNanoseconds, clock, job, original in
            guard let executor = EscapeWatch.current else {
                return original(seconds, nanoseconds, leewaySeconds, leewayNanoseconds, clock, job)
            }
            executor.recapture(job, "real time was slept (Task.sleep)" + culprit())
        }
        return true
    }()

    private static func symbol<Value>(_ name: String, as type: Value.Type) -> UnsafeMutablePointer<Value>? {
        dlsym(nil, name)?.assumingMemoryBound(to: type)
    }

    /// What is to blame, as far as the stack tells: the innermost function that is neither the runtime's nor ours,
    /// where the program exports its symbols; and the task's name, if it has one.
    static func culprit() -> String {
        var name = ""
        for frame in Thread.callStackSymbols {
            guard let start = frame.range(of: "$s"), let demangled = demangle(String(frame[start.lowerBound...])) else {
                continue
            }
            let isOurs = ["MeridianSimulation.", "Swift.", "_Concurrency.", "Foundation.", "Synchronization."]
                .contains { demangled.contains($0) && !demangled.contains("Tests.") }
            if !isOurs {
                name = ", by \(demangled)"
                break
            }
        }
        if #available(macOS 26, *), let task = Task.name { name += ", in task \"\(task)\"" }
        return name
    }

    private static func demangle(_ frame: String) -> String? {
        let mangled = String(frame.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == "$") })
        typealias Demangle =
            @convention(c) (
                UnsafePointer<CChar>?, Int, UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<Int>?, UInt32
            ) -> UnsafeMutablePointer<CChar>?
        guard let address = dlsym(nil, "swift_demangle") else { return nil }
        let function = unsafeBitCast(address, to: Demangle.self)
        guard let result = function(mangled, mangled.utf8.count, nil, nil, 0) else { return nil }
        defer { free(result) }
        return String(cString: result)
    }
}
