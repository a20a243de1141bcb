import MeridianCore
import Testing

@Suite struct RowCodingTests {
    @Test(arguments: 0..<40)
    func decodingGivesBackWhatWasEncoded(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<100 {
            let values = (0..<random.below(8)).map { _ in
                random.below(6) == 0 ? Value.null : random.value(of: random.keyableType())
            }
            #expect(try RowCoding.decode(RowCoding.encode(values, name: "users"), name: "users") == values)
        }
    }

    @Test(arguments: 0..<40)
    func hostileBytesAreReportedAsCorruption(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        for _ in 0..<500 {
            let values = (0..<random.below(5)).map { _ in random.value(of: random.keyableType()) }
            var bytes = try RowCoding.encode(values, name: "users")
            switch random.below(3) {
            case 0: bytes.removeLast(1 + Int(random.below(UInt64(bytes.count))))
            case 1: bytes[Int(random.below(UInt64(bytes.count)))] = random.byte()
            default: bytes = [1] + random.bytes(maximumCount: 40)
            }
            do {
                _ = try RowCoding.decode(bytes, name: "users")
            } catch {
                #expect([.corruption, .newerFormat].contains(error.code))
            }
        }
    }

    @Test(
        arguments: [
            [], [0], [1], [1, 1], [1, 0, 0], [1, 1, 3, 200], [1, 1, 3, 1, 0xFF], [1, 1, 9], [1, 1, 2, 0, 0],
            [1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01],
            [1, 1, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02],
            [1, 1, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        ] as [[UInt8]])
    func malformedRowIsCorrupt(bytes: [UInt8]) {
        #expect { try RowCoding.decode(bytes, name: "users") } throws: {
            ($0 as? MeridianError)?.code == .corruption
        }
    }

    @Test func rowOfALaterVersionIsNamedAsSuch() {
        #expect { try RowCoding.decode([2, 0], name: "users") } throws: {
            ($0 as? MeridianError)?.code == .newerFormat
        }
    }

    @Test func formatNeverChanges() throws {
        let values: [Value] = [.null, .integer(-65), .real(1), .text("é"), .blob([0])]
        #expect(
            try RowCoding.encode(values, name: "users") == [
                1, 5, 0, 1, 0x81, 0x01, 2, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 3, 2, 0xC3, 0xA9, 4, 1, 0,
            ])
    }

    @Test func rowAboveTheLimitIsRefusedWithoutItsContent() throws {
        let overhead = 1 + 1 + 1 + 4
        let largest = [UInt8](repeating: 1, count: RowCoding.maximumByteCount - overhead)
        #expect(try RowCoding.encode([.blob(largest)], name: "users").count == RowCoding.maximumByteCount)
        #expect { try RowCoding.encode([.blob(largest + [1])], name: "users") } throws: { error in
            let error = try #require(error as? MeridianError)
            return error.code == .rowTooLarge && error.message.contains("users")
                && error.message.contains("4194305") && error.message.contains("4194304")
        }
    }

    @Test func twoSpellingsOfACharacterAreTwoValues() {
        #expect("é" == "e\u{301}")
        #expect(Value.text("é") != Value.text("e\u{301}"))
        #expect(Set<Value>([.text("é"), .text("e\u{301}"), .text("é")]).count == 2)
        #expect(Set<Value>([.real(0), .real(-0.0), .real(.nan), .real(-.nan)]).count == 2)
    }

    @Test func textOfAValueShowsNoContent() {
        #expect("\(Value.text("Ada"))" == "text(3 bytes)")
        #expect(String(reflecting: [Value.text("Ada")]) == "[text(3 bytes)]")
    }
}
