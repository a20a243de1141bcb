import MeridianCore
import Testing

@Suite struct KeyCodingTests {
    private func key(
        _ values: [Value], _ types: [ColumnType], table: UInt32 = 7, region: Region = "eu-west-1"
    ) throws -> Key {
        try KeyEncoder.key(table: TableID(table), region: region, values: values, types: types, name: "users")
    }

    @Test(arguments: 0..<40)
    func keysSortAsTheirTuplesDo(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let types = (0..<1 + random.below(3)).map { _ in random.keyableType() }
        let regions: [Region] = ["", "eu", "eu-west-1", "us"]
        var rows: [(table: UInt32, region: Region, values: [Value], key: Key)] = []
        for _ in 0..<60 {
            let table = UInt32([1, 255, 256, 1 << 31][Int(random.below(4))])
            let region = regions[Int(random.below(4))]
            let values = types.map { random.below(10) == 0 ? Value.null : random.value(of: $0) }
            rows.append((table, region, values, try key(values, types, table: table, region: region)))
        }
        for left in rows {
            for right in rows {
                let isBefore =
                    (left.table, left.region) != (right.table, right.region)
                    ? (left.table, left.region) < (right.table, right.region)
                    : left.values.lexicographicallyPrecedes(right.values)
                #expect((left.key < right.key) == isBefore)
                let isEqual = (left.table, left.region, left.values) == (right.table, right.region, right.values)
                #expect((left.key == right.key) == isEqual)
            }
        }
    }

    @Test(arguments: 0..<40)
    func decodingGivesBackWhatWasEncoded(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<100 {
            let types = (0..<random.below(5)).map { _ in random.keyableType() }
            let values = types.map { random.below(10) == 0 ? Value.null : random.value(of: $0) }
            let table = UInt32(truncatingIfNeeded: random.next())
            let region = Region(random.text())
            var decoder = try KeyDecoder(try key(values, types, table: table, region: region))
            #expect(decoder.table == TableID(table))
            #expect(decoder.index == .primary)
            #expect(decoder.region.rawValue.utf8.elementsEqual(region.rawValue.utf8))
            #expect(try decoder.values() == values)
            #expect(try decoder.next() == nil)
        }
    }

    @Test(arguments: 0..<40)
    func hostileBytesAreReportedAsCorruption(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let types = [ColumnType.text, .integer, .uuid, .real, .blob]
            var bytes = try key(types.map { random.value(of: $0) }, types).bytes
            switch random.below(3) {
            case 0: bytes.removeLast(Int(random.below(UInt64(bytes.count))))
            case 1: bytes[Int(random.below(UInt64(bytes.count)))] = random.byte()
            default: bytes = random.bytes(maximumCount: 40)
            }
            do {
                var decoder = try KeyDecoder(Key(bytes))
                // What is accepted means exactly these bytes: a key has one spelling.
                let values = try decoder.values()
                var encoder = KeyEncoder(table: decoder.table, index: decoder.index, region: decoder.region)
                for value in values { try encoder.append(value, as: type(of: value, in: bytes), name: "users") }
                if !values.contains(where: isBlobOfSixteenBytes) { #expect(encoder.bytes == bytes) }
            } catch {
                #expect(error.code == .corruption)
            }
        }
    }

    private func type(of value: Value, in bytes: [UInt8]) -> ColumnType {
        switch value {
        case .integer, .null: .integer
        case .real: .real
        case .text: .text
        case .blob: .blob
        }
    }

    private func isBlobOfSixteenBytes(_ value: Value) -> Bool {
        if case .blob(let bytes) = value { bytes.count == 16 } else { false }
    }

    @Test func formatNeverChanges() throws {
        let values: [Value] = [.null, .integer(-2), .real(1), .text("a\u{0}b"), .blob([0, 255])]
        let bytes = try key(values, [.integer, .integer, .real, .text, .blob], region: "eu").bytes
        #expect(
            bytes == [
                0, 0, 0, 7, 0, 0x65, 0x75, 0, 1,
                0x10,
                0x20, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE,
                0x30, 0xBF, 0xF0, 0, 0, 0, 0, 0, 0,
                0x40, 0x61, 0, 0xFF, 0x62, 0, 1,
                0x50, 0, 0xFF, 0xFF, 0, 1,
            ])
    }

    @Test func prefixesCoverTheirKeysAndNoOthers() throws {
        let inside = try key([.text("x")], [.text])
        let elsewhere = try key([.text("x")], [.text], region: "eu-west-10")
        let otherTable = try key([.text("x")], [.text], table: 8)
        let region = KeySpan(prefix: KeyEncoder.prefix(table: TableID(7), region: "eu-west-1"))
        #expect(region.contains(inside))
        #expect(!region.contains(elsewhere))
        let table = KeySpan(prefix: KeyEncoder.prefix(table: TableID(7)))
        #expect(table.contains(inside) && table.contains(elsewhere) && !table.contains(otherTable))
    }

    @Test func bothZeroesAreOneKey() throws {
        #expect(try key([.real(-0.0)], [.real]) == key([.real(0.0)], [.real]))
    }

    @Test func nanIsRefused() {
        #expect { try key([.real(.nan)], [.real]) } throws: {
            ($0 as? MeridianError)?.code == .typeMismatch
        }
    }

    @Test func keyAboveTheLimitIsRefusedWithoutItsContent() throws {
        let secret = String(repeating: "Ada", count: 30_000)
        #expect { try key([.text(secret)], [.text]) } throws: { error in
            let error = try #require(error as? MeridianError)
            return error.code == .keyTooLarge && error.message.contains("users")
                && error.message.contains("90019") && !error.message.contains("Ada")
        }
        let largest = String(repeating: "x", count: Key.maximumByteCount - 4 - 1 - 11 - 3)
        #expect(try key([.text(largest)], [.text]).bytes.count == Key.maximumByteCount)
    }

    @Test func valueOfAnotherTypeIsRefused() {
        #expect { try key([.blob([1])], [.uuid]) } throws: { ($0 as? MeridianError)?.code == .typeMismatch }
        #expect { try key([.text("1")], [.integer]) } throws: { ($0 as? MeridianError)?.code == .typeMismatch }
    }
}
