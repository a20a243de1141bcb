import Synchronization

/// Work that goes on beside what clients ask for, until it is ended. One of the few places where a task begins that is
/// nobody's child: a cluster's services outlive every call.
package final class Background: Sendable {
    private let tasks = Mutex<[Task<Void, Never>]>([])

    package init() {}

    package func run(_ body: @escaping @Sendable () async -> Void) {
        tasks.withLock { $0.append(Task { await body() }) }
    }

    /// Cancels everything and waits until it has ended.
    package func end() async {
        let ending = tasks.withLock { tasks in
            defer { tasks = [] }
            return tasks
        }
        for task in ending { task.cancel() }
        for task in ending { await task.value }
    }
}
