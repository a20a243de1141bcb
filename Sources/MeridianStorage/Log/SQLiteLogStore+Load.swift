import GRDB
import GRDBSQLite
import MeridianCore

/// Reading everything back, at a start: the rows in the order of their sequence, each superseding what it must.
extension SQLiteLogStore {
    /// - Throws: `MeridianError` with `.corruption`, naming the range and the index, for anything that is not exactly
    ///   what was written.
    func readAll() throws -> [RangeID: StoredLog] {
        isLoaded = false
        groups = [:]
        runs = [:]
        dead = []
        uncompacted = []
        nextSequence = 1
        var logs: [RangeID: StoredLog] = [:]
        var gaps: [RangeID: LogIndex] = [:]
        let readGroups = try connection.prepare("read groups", "SELECT * FROM groups")
        let readRuns = try connection.prepare("read entries", "SELECT * FROM runs ORDER BY sequence")
        try connection.access("load") { _ in
            defer {
                readGroups.reset()
                readRuns.reset()
            }
            while try readGroups.step() {
                let (range, group) = try Self.group(in: readGroups)
                groups[range] = group
                logs[range] = StoredLog(hardState: group.hardState, base: group.base)
                nextSequence = max(nextSequence, group.firstSequence)
            }
            while try readRuns.step() {
                let (range, run) = try Self.run(in: readRuns)
                nextSequence = max(nextSequence, run.sequence + 1)
                // Decoded even if it is hidden: what hides it may itself be damaged.
                let entries = try Self.entries(of: range, run, in: readRuns.blob(4))
                take(run, of: range, entries, &logs[range], gap: &gaps[range])
            }
        }
        if let (range, index) = gaps.min(by: { $0.key < $1.key }) { throw Self.corruption(range, index, "is missing") }
        for (range, group) in groups where group.hardState.commit > group.lastIndex {
            throw Self.corruption(range, group.hardState.commit, "was committed and is missing")
        }
        isLoaded = true
        return logs
    }

    /// Puts the next run on top of what has been read.
    ///
    /// Rows are deleted from the lowest sequence up. A crash amid that can leave a row that is hidden behind a gap,
    /// where rows before it are gone already: then a later row begins at the gap or before it. Otherwise entries are
    /// missing.
    private func take(
        _ run: Run, of range: RangeID, _ entries: [Entry], _ log: inout StoredLog?, gap: inout LogIndex?
    ) {
        guard let group = groups[range], log != nil, run.sequence >= group.firstSequence else {
            return dead.append(run.sequence...run.sequence)
        }
        guard run.first <= group.lastIndex.next else {
            gap = group.lastIndex.next
            return dead.append(run.sequence...run.sequence)
        }
        gap = nil
        // Even a run below the base hides what earlier runs say about the indexes after it.
        let first = max(run.first, group.base.index.next)
        hide(from: first, of: range)
        log!.entries.removeLast(Int(group.lastIndex.next.rawValue - first.rawValue))
        groups[range]!.lastIndex = first.previous
        guard run.last >= first else { return dead.append(run.sequence...run.sequence) }
        log!.entries += entries.drop { $0.index < first }
        runs[range, default: []].append(run)
        groups[range]!.lastIndex = run.last
    }

    private static func group(in row: SQLiteStatement) throws -> (RangeID, Group) {
        let range = RangeID(row.unsigned(0))
        let vote: NodeID? = row.isNull(2) ? nil : NodeID(UInt32(truncatingIfNeeded: row.integer(2)))
        var group = Group(firstSequence: row.integer(6), lastIndex: LogIndex(row.unsigned(5)))
        let incarnation = Incarnation(row.unsigned(8))
        guard (0...1).contains(row.integer(9)), row.integer(9) == 0 || incarnation != .first else {
            throw MeridianError(.corruption, "log.sqlite: groups: \(range): recovering without an incarnation")
        }
        group.hardState = HardState(
            term: Term(row.unsigned(1)), vote: vote, commit: LogIndex(row.unsigned(3)), incarnation: incarnation,
            isRecovering: row.integer(9) == 1,
            floor: LogPosition(term: Term(row.unsigned(10)), index: LogIndex(row.unsigned(11))),
            isDeparting: row.integer(12) == 1)
        group.base = LogPosition(term: Term(row.unsigned(4)), index: LogIndex(row.unsigned(5)))
        guard row.integer(7) == Int64(group.checksum(range)) else {
            throw MeridianError(.corruption, "log.sqlite: groups: \(range): checksum")
        }
        return (range, group)
    }

    private static func run(in row: SQLiteStatement) throws -> (RangeID, Run) {
        let range = RangeID(row.unsigned(1))
        let run = Run(sequence: row.integer(0), first: LogIndex(row.unsigned(2)), last: LogIndex(row.unsigned(3)))
        guard row.integer(5) == Int64(run.checksum(range)), run.first <= run.last, run.sequence < .max else {
            throw corruption(range, run.first, "has a damaged row")
        }
        return (range, run)
    }

    private static func entries(
        of range: RangeID, _ run: Run, in bytes: UnsafeRawBufferPointer
    ) throws -> [Entry] {
        var entries: [Entry] = []
        var reader = ByteReader(bytes)
        var index = run.first
        do {
            while true {
                let entry = try EntryCoding.decode(of: range, from: &reader)
                guard entry.index == index else { throw ByteReader.Malformed() }
                entries.append(entry)
                if index == run.last { break }
                index = index.next
            }
            try reader.expectEnd()
        } catch {
            throw corruption(range, index, "is damaged")
        }
        return entries
    }

    private static func corruption(_ range: RangeID, _ index: LogIndex, _ what: String) -> MeridianError {
        MeridianError(.corruption, "log.sqlite: runs: \(range) \(index) \(what)")
    }
}
