import MeridianConsensus
import MeridianCore

/// One replica with a disk and a state machine that tests can see into, slow down and crash.
final class TestNode {
    let id: NodeID
    let configuration: RaftConfiguration
    var raft: Raft
    /// What the log store would load after a crash.
    var disk: StoredLog
    /// Jobs that are under way, oldest first.
    var jobs: [PersistJob] = []
    /// Everything that the state machine has applied since the beginning of time; a snapshot brings it along.
    var appliedEntries: [Entry] = []
    /// Up to here the state store survives a crash.
    var checkpoint: LogIndex = .zero
    let bootstrap: Membership
    var snapshotMembership: [LogIndex: Membership] = [:]
    var isUp = true
    /// Counts restarts, so that what was begun in an earlier life is recognised.
    var life = 0

    init(configuration: RaftConfiguration, bootstrap: Membership, at now: Moment) {
        self.id = configuration.node
        self.configuration = configuration
        self.bootstrap = bootstrap
        self.disk = StoredLog()
        let applied = AppliedState(position: .zero, membership: bootstrap, closed: .zero)
        self.raft = Raft(configuration: configuration, stored: disk, applied: applied, at: now)
    }

    var appliedIndex: LogIndex { LogIndex(UInt64(appliedEntries.count)) }

    /// The state store's account of the first `index` entries.
    func appliedState(at index: LogIndex) -> AppliedState {
        var membership = bootstrap
        for entry in appliedEntries.prefix(Int(index.rawValue)) {
            if case .membership(let other) = entry.payload { membership = other }
        }
        let position = index == .zero ? LogPosition.zero : appliedEntries[Int(index.rawValue) - 1].position
        return AppliedState(position: position, membership: membership, closed: .zero)
    }

    func enqueue(_ output: RaftOutput) {
        if let job = output.persist { jobs.append(job) }
    }

    /// The oldest job reaches the disk.
    func completeJob() -> PersistJob {
        let job = jobs.removeFirst()
        if let reset = job.reset {
            disk.base = reset
            disk.entries = []
        }
        if let first = job.entries.first {
            precondition(first.index <= disk.last.next && first.index > disk.base.index, "a hole on the disk of \(id)")
            disk.entries.removeLast(Int(disk.last.rawValue + 1 - first.index.rawValue))
            disk.entries += job.entries
        }
        if let state = job.hardState { disk.hardState = state }
        return job
    }

    func apply(_ entries: [Entry]) {
        for entry in entries where entry.index > appliedIndex {
            precondition(entry.index == appliedIndex.next, "\(id) skips from \(appliedIndex) to \(entry.index)")
            appliedEntries.append(entry)
        }
    }

    func compact(through index: LogIndex) {
        guard index > disk.base.index, let kept = disk.entries.firstIndex(where: { $0.index == index }) else { return }
        disk.base = disk.entries[kept].position
        disk.entries.removeFirst(kept + 1)
    }

    func crash() {
        isUp = false
        life += 1
        jobs = []
    }

    /// The disk is gone with the process; on the new one nothing is written but that a life begins.
    func loseDisk(beginning incarnation: Incarnation) {
        crash()
        disk = StoredLog(hardState: .recovering(incarnation))
        appliedEntries = []
        checkpoint = .zero
    }

    /// - Parameter survived: how much of the state store outlived the crash; at least the checkpoint.
    func restart(applied survived: LogIndex, at now: Moment) {
        precondition(survived >= checkpoint && survived <= appliedIndex)
        appliedEntries.removeLast(appliedEntries.count - Int(survived.rawValue))
        // What the core is told is applied must be durable: it may cut the log there.
        checkpoint = survived
        raft = Raft(configuration: configuration, stored: disk, applied: appliedState(at: survived), at: now)
        isUp = true
    }
}

extension StoredLog {
    var last: LogIndex { entries.last?.index ?? base.index }

    func holds(_ position: LogPosition) -> Bool {
        if position.index <= base.index { return true }
        let offset = Int(position.index.rawValue - base.index.rawValue) - 1
        return offset < entries.count && entries[offset].term == position.term
    }
}

extension EntryPayload {
    /// A command that carries a number, which comes back with `number`.
    static func numbered(_ number: UInt64, padding: Int = 0) -> EntryPayload {
        let key = Key(Array(repeating: 0, count: padding))
        return .command(
            Command(
                request: RequestID(high: 0, low: number), timestamp: .zero, closed: .zero,
                mutations: padding > 0 ? [Mutation(key: key, value: nil)] : []))
    }

    var number: UInt64? {
        if case .command(let command) = self { command.request.low } else { nil }
    }
}
