/// Registers as transactions run one after the other, for `OrderSearch`.
///
/// Each value is written once, so what was overwritten never comes back: a transaction may overwrite a version only
/// when all who read it have run. That ends a wrong way at its first step.
struct RegisterState: SerialState {
    private let accesses: [RegisterAnalysis.Access]
    /// Where the accesses of each operation begin.
    private let first: [Int32]
    /// The version that each register holds.
    private var current: [Int32]
    /// By version: how many who read it have not run.
    private var readersLeft: [Int32]
    /// What was overwritten, the latest last.
    private var overwritten: [Int32] = []
    private(set) var fingerprint = Fingerprint()

    init(_ analysis: RegisterAnalysis) {
        let history = analysis.history
        accesses = analysis.accesses.sorted { ($0.operation, $0.key) < ($1.operation, $1.key) }
        var counts = [Int32](repeating: 0, count: history.operations.count + 1)
        for access in accesses { counts[Int(access.operation) + 1] += 1 }
        for operation in history.operations.indices { counts[operation + 1] += counts[operation] }
        first = counts
        current = history.keys.indices.map { analysis.nothing(Int32($0)) }
        readersLeft = [Int32](repeating: 0, count: analysis.versionCount)
        for access in accesses { if let read = access.read { readersLeft[Int(read)] += 1 } }
    }

    private func accesses(of operation: Int) -> ArraySlice<RegisterAnalysis.Access> {
        accesses[Int(first[operation])..<Int(first[operation + 1])]
    }

    func isHarmless(_ operation: Int) -> Bool { accesses(of: operation).allSatisfy { $0.written == nil } }

    mutating func apply(_ operation: Int) -> Bool {
        let mine = accesses(of: operation)
        for access in mine {
            let now = current[Int(access.key)]
            if let read = access.read, read != now { return false }
            if access.written != nil, readersLeft[Int(now)] > (access.read == nil ? 0 : 1) { return false }
        }
        for access in mine {
            if let read = access.read { readersLeft[Int(read)] -= 1 }
            guard let written = access.written else { continue }
            overwritten.append(current[Int(access.key)])
            set(access.key, written)
        }
        return true
    }

    mutating func revert(_ operation: Int) {
        for access in accesses(of: operation).reversed() {
            if access.written != nil { set(access.key, overwritten.removeLast()) }
            if let read = access.read { readersLeft[Int(read)] += 1 }
        }
    }

    private mutating func set(_ key: Int32, _ version: Int32) {
        fingerprint.toggle(UInt64(key), UInt64(current[Int(key)]))
        current[Int(key)] = version
        fingerprint.toggle(UInt64(key), UInt64(version))
    }
}
