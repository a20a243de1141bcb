import MeridianCore
import MeridianPlacement
import Testing

@testable import MeridianReplica

@Suite struct TableRecordTests {
    private func record(_ locality: Locality, _ goal: SurvivalGoal, _ mode: ReplicationMode) throws -> TableRecord {
        let topology = try Topology.aws(["us-east-1", "eu-west-1", "ap-northeast-1"])
        let table = TableDescriptor(
            id: TableID(9), name: "users", locality: locality, goal: goal, placement: .unrestricted, mode: mode,
            schema: [1, 2, 3])
        let plan = try ReplicaPlanner(topology: topology).plan(table, home: "eu-west-1", range: RangeID(4))
        let span = KeySpan(prefix: KeyEncoder.prefix(table: table.id))
        return TableRecord(
            descriptor: table, ranges: [RangeDescriptor(id: RangeID(4), span: span, table: table.id, plan: plan)])
    }

    private func records() throws -> [TableRecord] {
        [
            try record(.regionalByRow(column: "region"), .zone, .synchronous),
            try record(.regional(in: "eu-west-1"), .region, .synchronous),
            try record(.global, .zone, .synchronous),
            try record(.regional(in: "eu-west-1"), .zone, .semiSynchronous(remoteRegions: 1)),
            try record(.regional(in: "eu-west-1"), .zone, .asynchronous), try changedRecord(),
        ]
    }

    /// A range in the middle of a failover, of a table that has been changed.
    private func changedRecord() throws -> TableRecord {
        var changed = try record(.regional(in: "eu-west-1"), .zone, .asynchronous)
        changed.version = 7
        changed.descriptor.failover = .automatic
        changed.ranges[0].home = "us-east-1"
        changed.ranges[0].revision = 5
        changed.ranges[0].generation = Generation(2)
        changed.ranges[0].fence = Generation(3)
        changed.ranges[0].seed = .init(
            node: NodeID(8), fork: LogPosition(term: Generation(1).seal.next, index: LogIndex(40)))
        changed.ranges[0].forks = [
            .init(index: LogIndex(30), completeTo: Timestamp(rawValue: 500)),
            .init(index: LogIndex(40), completeTo: Timestamp(rawValue: 400)),
        ]
        changed.ranges[0].keepsEarlierHistory = true
        changed.ranges[0].transition = .init(
            members: [Member(node: NodeID(8), region: "us-east-1", role: .voter)],
            commitRule: .semiSynchronous(home: "ap-northeast-1", remoteRegions: 2))
        changed.ranges[0].commitRule = .asynchronous(home: "us-east-1")
        return changed
    }

    @Test func whatForksHaveCutIsKnownOfEveryEarlierHistory() throws {
        let range = try changedRecord().ranges[0]
        #expect(range.commonIndex(with: .first) == LogIndex(30))
        #expect(range.commonIndex(with: Generation(1)) == LogIndex(40))
        #expect(range.commonIndex(with: Generation(2)) == LogIndex(.max))
        #expect(range.commonTime(with: .first) == Timestamp(rawValue: 400))
        #expect(range.commonTime(with: Generation(2)) == .distantFuture)
        #expect(range.partition == "eu-west-1")
    }

    @Test func whatIsWrittenIsRead() throws {
        for record in try records() {
            let read = try TableRecord(encoded: record.encoded())
            #expect(read == record)
        }
    }

    /// Each value of a record in turn is replaced by one that may stand nowhere; nothing traps.
    @Test func malformedRecordsAreRefused() throws {
        let bad: [Value] = [
            .null, .integer(-1), .integer(.max), .integer(99), .text(""), .text("x"), .blob([]), .blob([0xFF]),
            .real(0.5),
        ]
        for record in try records() {
            let values = try RowCoding.decode(record.encoded(), name: "test")
            for position in values.indices {
                for value in bad {
                    var changed = values
                    changed[position] = value
                    _ = try? TableRecord(encoded: RowCoding.encode(changed, name: "test"))
                }
                for cut in [Array(values[..<position]), values + [.null]] {
                    #expect(throws: MeridianError.self) {
                        try TableRecord(encoded: RowCoding.encode(cut, name: "test"))
                    }
                }
            }
        }
    }

    @Test func hostileBytesAreRefused() throws {
        var random = SplitMix64(seed: 3)
        let bytes = try records()[1].encoded()
        for _ in 0..<2000 {
            var changed = bytes
            for _ in 0...random.below(4) { changed[Int(random.below(UInt64(bytes.count)))] = UInt8(random.below(256)) }
            _ = try? TableRecord(encoded: changed)
            _ = try? TableRecord(encoded: Array(changed[..<Int(random.below(UInt64(bytes.count)))]))
        }
    }

    @Test func copiesOfAnActiveActiveTableAreRead() throws {
        var record = try records()[0]
        record.descriptor.locality = .activeActive
        record.descriptor.resolvers = [1, 2]
        record.copies = record.ranges.map {
            TableCopy(number: TableID(40), range: $0.id, region: $0.home, state: .joining)
        }
        #expect(try TableRecord(encoded: try record.encoded()) == record)
        // A copy for each range, and resolvers, or it is no active-active table.
        for damage in 0..<2 {
            var damaged = record
            if damage == 0 { damaged.copies = [] } else { damaged.descriptor.resolvers = nil }
            let encoded = try damaged.encoded()
            #expect { try TableRecord(encoded: encoded) } throws: { ($0 as? MeridianError)?.code == .corruption }
        }
    }

    /// Format 3 did not say up to when forks are complete: then of all rows something may have been cut.
    @Test func aRecordOfTheFormatBeforeIsRead() throws {
        var record = try changedRecord()
        var values = try RowCoding.decode(try record.encoded(), name: "test")
        values[0] = .integer(3)
        values.removeLast(2 + record.ranges.reduce(0) { $0 + 1 + 3 * $1.founders.count })
        for range in record.ranges.indices { record.ranges[range].founders = record.ranges[range].members }
        for fork in record.ranges[0].forks.indices { record.ranges[0].forks[fork].completeTo = .zero }
        #expect(try TableRecord(encoded: RowCoding.encode(values, name: "test")) == record)
    }

    @Test func aRecordOfANewerProgramSaysSo() throws {
        var values = try RowCoding.decode(try records()[0].encoded(), name: "test")
        values[0] = .integer(6)
        let encoded = try RowCoding.encode(values, name: "test")
        #expect { try TableRecord(encoded: encoded) } throws: { ($0 as? MeridianError)?.code == .newerFormat }
    }
}
