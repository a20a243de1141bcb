import MeridianCore
import MeridianPlacement
import MeridianReplica

/// How far one copy has come with what another one writes.
public struct CopyProgress: Sendable {
    public var from: Region
    public var into: Region
    /// All that was committed there up to now less this is here; `nil` when nothing was pulled yet.
    public var behind: Duration?
    /// Why the last attempt failed; `nil` when it did not.
    public var problem: MeridianError?
}

extension Database {
    /// How far each copy of an active-active table has come with each other one, as far as this process knows.
    public func convergence<Row>(
        of table: Table<Row>, deadline: Duration = Database.defaultDeadline
    ) async throws -> [CopyProgress] {
        let record = try await activeRecord(table, end: host.deadline(after: deadline))
        let copies = zip(record.copies, record.ranges).filter { $0.0.state == .active }
        let now = try await readTimestamp(end: host.deadline(after: deadline))
        return copies.flatMap { copy, range in
            copies.filter { $0.0.number != copy.number }.map { origin, _ in
                let link = ConvergenceProgress.Link(copy: range.id, origin: origin.number)
                let behind = host.progress[link].map {
                    Duration.nanoseconds(max(0, now.rawValue - $0.rawValue))
                }
                return CopyProgress(
                    from: origin.region, into: copy.region, behind: behind, problem: host.progress.problem(of: link))
            }
        }
    }

    /// Waits until every copy of an active-active table has all that was committed in any other before the call. For
    /// tests, drills and the end of a maintenance window: applications that wait for a row take its token.
    /// - Throws: `.deadlineExceeded`, naming the copies that are behind.
    public func waitUntilConverged<Row>(_ table: Table<Row>, deadline: Duration = .seconds(30)) async throws {
        let end = host.deadline(after: deadline)
        let resolved = try await resolve(table, end: end)
        // Above what any region has committed, whose clocks may be ahead of this one's.
        let time = try await readTimestamp(end: end)
        for range in resolved.ranges.values.sorted(by: { $0.id < $1.id }) {
            try await waitUntilCovered(resolved, range, at: time, end: end)
        }
    }

    /// Waits until the copy that serves this region has all that was committed in other copies up to a time.
    func waitUntilCovered(_ table: ResolvedTable, at time: Timestamp, end: Instant) async throws {
        try await waitUntilCovered(table, table.copy(nearest: region), at: time, end: end)
    }

    private func waitUntilCovered(
        _ table: ResolvedTable, _ range: RangeDescriptor, at time: Timestamp, end: Instant
    ) async throws {
        let origins = table.record.copies.filter { $0.state == .active && $0.range != range.id }
        while true {
            let behind = origins.filter { origin in
                (host.progress[.init(copy: range.id, origin: origin.number)] ?? .zero) < time
            }
            if behind.isEmpty || Planted.isOn(.coverageNotAwaited) { return }
            try host.checkCancellation()
            guard host.now < end else {
                throw MeridianError(
                    .deadlineExceeded,
                    "table \(table.name): the copy in \(range.home) does not have yet what was written in "
                        + behind.map(\.region.rawValue).sorted().joined(separator: ", ")
                        + " up to now; allow more time, or read where it was written",
                    retry: .after(.seconds(1)))
            }
            await host.pause(for: .milliseconds(5))
        }
    }
}
