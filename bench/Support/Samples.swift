import Synchronization

/// A few dozen latencies and their median. Far too few for a tail: the benches measure tails, with histograms.
package struct Samples: Sendable {
    private var milliseconds: [Double] = []

    package init() {}

    package mutating func add(_ duration: Duration) { milliseconds.append(duration.milliseconds) }

    package var count: Int { milliseconds.count }

    /// Milliseconds. Precondition: there is a sample.
    package var median: Double {
        precondition(!milliseconds.isEmpty, "no samples")
        return milliseconds.sorted()[milliseconds.count / 2]
    }
}

extension Duration {
    package var milliseconds: Double { self / .milliseconds(1) }
}

/// A value behind a lock that several objects can share.
package final class Locked<Value: Sendable>: Sendable {
    private let mutex: Mutex<Value>

    package init(_ value: Value) { mutex = Mutex(value) }

    package func with<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        try mutex.withLock { value in try body(&value) }
    }
}
