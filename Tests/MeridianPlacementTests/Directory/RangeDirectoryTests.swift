import MeridianCore
import MeridianPlacement
import Testing

@Suite struct RangeDirectoryTests {
    private func range(
        _ id: UInt64, _ lower: UInt8, _ upper: UInt8?, table: UInt32 = 1, home: Region = "eu"
    ) -> RangeDescriptor {
        RangeDescriptor(
            id: RangeID(id), span: KeySpan(lower: Key([lower]), upper: upper.map { Key([$0]) }), table: TableID(table),
            home: home, members: [Member(node: NodeID(1), region: home, role: .voter)], commitRule: .majority)
    }

    private func directory() throws -> RangeDirectory {
        try RangeDirectory([
            range(3, 40, 50, table: 2), range(1, 10, 20), range(2, 20, 30, home: "us"), range(4, 50, nil, table: 3),
        ])
    }

    private func ids(_ ranges: some Sequence<RangeDescriptor>) -> [UInt64] { ranges.map(\.id.rawValue) }

    @Test func keysAreFoundInTheRangeThatHoldsThem() throws {
        let directory = try directory()
        let cases: [(UInt8, UInt64?)] = [(9, nil), (10, 1), (19, 1), (20, 2), (30, nil), (39, nil), (40, 3), (255, 4)]
        for (key, id) in cases {
            #expect(directory.range(containing: Key([key]))?.id.rawValue == id, "key \(key)")
        }
        #expect(directory.range(containing: Key([19, 255, 255]))?.id == RangeID(1))
        #expect(RangeDirectory().range(containing: Key([])) == nil)
    }

    @Test func spansFindEveryRangeTheyTouch() throws {
        let directory = try directory()
        func found(_ lower: UInt8, _ upper: UInt8?) -> [UInt64] {
            ids(directory.ranges(overlapping: KeySpan(lower: Key([lower]), upper: upper.map { Key([$0]) })))
        }
        #expect(found(0, 10) == [])
        #expect(found(0, 11) == [1])
        #expect(found(15, 41) == [1, 2, 3])
        #expect(found(30, 40) == [])
        #expect(found(29, nil) == [2, 3, 4])
        #expect(found(20, 20) == [])
    }

    @Test func tablesFindTheirRangesByRegion() throws {
        let directory = try directory()
        #expect(ids(directory.ranges(of: TableID(1))) == [1, 2])
        #expect(ids(directory.ranges(of: TableID(1), in: "us")) == [2])
        #expect(ids(directory.ranges(of: TableID(9))) == [])
        #expect(directory[RangeID(3)]?.table == TableID(2))
    }

    @Test func overlapsAndRepeatedIdsAreRefusedWithoutNamingKeys() throws {
        var directory = try directory()
        let before = directory.ranges
        for refused in [range(9, 15, 16), range(9, 5, 11), range(9, 29, 41), range(9, 0, nil), range(1, 60, 61)] {
            do {
                try directory.insert(refused)
                Issue.record("inserted \(refused)")
            } catch {
                #expect(error.code == .invalidConfiguration)
                #expect(error.message.contains("\(refused.id)"))
                #expect(!error.message.contains("key("))
            }
            #expect(directory.ranges == before)
        }
        #expect(throws: MeridianError.self) { try RangeDirectory([range(1, 0, 5), range(2, 4, 6)]) }
        #expect(throws: MeridianError.self) { try RangeDirectory([range(1, 0, 5), range(1, 5, 6)]) }
    }

    @Test func replacingMovesARangeToWhereItBelongs() throws {
        var directory = try directory()
        try directory.replace(range(1, 30, 40, table: 2))
        #expect(ids(directory.ranges) == [2, 1, 3, 4])
        #expect(ids(directory.ranges(of: TableID(2))) == [1, 3])
        #expect(directory.range(containing: Key([10])) == nil)
        #expect(throws: MeridianError.self) { try directory.replace(range(1, 30, 41)) }
        #expect(throws: MeridianError.self) { try directory.replace(range(8, 0, 1)) }
    }

    @Test func anyOrderOfChangesLeavesASortedDirectory() throws {
        var random = SplitMix64(seed: 42)
        for _ in 0..<50 {
            var directory = RangeDirectory()
            var model: [UInt64: RangeDescriptor] = [:]
            for _ in 0..<60 {
                let slot = random.below(20)
                if model[slot] == nil {
                    let new = range(slot, UInt8(slot * 10), UInt8(slot * 10 + 10), table: UInt32(slot % 3))
                    try directory.insert(new)
                    model[slot] = new
                } else {
                    #expect(directory.remove(RangeID(slot)) == model.removeValue(forKey: slot))
                }
                let expected = model.values.sorted { $0.id < $1.id }
                #expect(directory.ranges == expected)
                for table in 0..<3 as Range<UInt32> {
                    #expect(
                        directory.ranges(of: TableID(table)) == expected.filter { $0.table == TableID(table) })
                }
                for (id, range) in model { #expect(directory[RangeID(id)] == range) }
            }
            #expect(directory.remove(RangeID(99)) == nil)
        }
    }
}
