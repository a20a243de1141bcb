import Foundation
import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Which transactions of several ranges are not over, asked of all leaseholders at once.
struct TransactionCensus: Sendable {
    struct Found: Sendable {
        var holder: RangeDescriptor
        var status: TransactionStatus
    }

    private(set) var found: [Found] = []
    private(set) var unanswered: [RangeID] = []
    private var names: [RangeID: RowSet] = [:]

    /// - Throws: `.unavailable`, `.deadlineExceeded` when the tables cannot be read.
    init(asking database: Database, end: Instant) async throws {
        let rows = try await database.rows(of: Catalog.tableSpan, in: Catalog.systemRange, end: end)
        let records = try rows.compactMap { try $0.version.value.map { try TableRecord(encoded: $0) } }
        for record in records {
            let retired = Set(record.copies.filter { $0.state == .retired }.map(\.range))
            for range in record.ranges {
                names[range.id] = RowSet(
                    table: record.descriptor.name, region: range.partition.rawValue,
                    isGivenUp: range.isGivenUp || retired.contains(range.id))
            }
        }
        let ranges = records.flatMap(\.ranges).filter { names[$0.id]?.isGivenUp == false }
        let patience = min(Self.patience, .nanoseconds(max(0, end.nanoseconds(since: database.host.now))))
        let answers = await withTaskGroup(of: (RangeDescriptor, [TransactionStatus]?).self) { group in
            for range in ranges {
                group.addTask {
                    let answer = try? await database.host.call(
                        range.id, .request(.transactions), from: database.region, patience: patience,
                        mayBeRepeated: false)
                    guard case .transactions(let open)? = answer else { return (range, nil) }
                    return (range, open)
                }
            }
            var answers: [(RangeDescriptor, [TransactionStatus]?)] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.0.id < $1.0.id }
        }
        for (range, open) in answers {
            guard let open else {
                unanswered.append(range.id)
                continue
            }
            found += open.map { Found(holder: range, status: $0) }
        }
    }

    /// How long one leaseholder is waited for.
    private static let patience = Duration.milliseconds(1_500)

    func name(of range: RangeID) -> RowSet {
        names[range] ?? RowSet(table: "\(range)", region: "", isGivenUp: true)
    }

    func names(of participants: [Participant]) -> [RowSet] { participants.map { name(of: $0.range) } }
}

/// Commits that were undone, kept in the system range when they are found, so that nobody has to be there at the moment
/// when a range is given up. They name tables, regions and requests, never rows.
enum UndoneHistory {
    static func mutation(_ commit: UndoneCommit, _ id: TransactionID) throws -> Mutation {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let text = String(decoding: try encoder.encode(commit), as: UTF8.self)
        return Mutation(
            key: try key([.text("\(id)")]), value: try RowCoding.encode([.text(text)], name: "system.undone"))
    }

    static func span() throws -> KeySpan { KeySpan(prefix: try key([]).bytes) }

    static func commit(in value: [UInt8]) throws -> UndoneCommit {
        guard case .text(let text)? = try RowCoding.decode(value, name: "system.undone").first else {
            throw MeridianError(.corruption, "a row of system.undone is malformed")
        }
        return try JSONDecoder().decode(UndoneCommit.self, from: Data(text.utf8))
    }

    private static func key(_ values: [Value]) throws(MeridianError) -> Key {
        let all = [Value.text("undone")] + values
        return try KeyEncoder.key(
            table: .system, region: "", values: all, types: all.map { _ in .text }, name: "system")
    }
}
