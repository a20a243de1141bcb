import MeridianCore
import Testing

@testable import MeridianConvergence

/// How fast concurrent records merge on one core, printed. A debug build says little; `bench` measures release.
@Suite(.serialized) struct MergeBench {
    @Test(arguments: TestTable.all) func merges(_ table: TestTable) throws {
        var random = SplitMix64(seed: 1)
        let shape = table.shape
        let made = try Record(
            writing: random.row(shape, over: nil, unique: 0), over: nil, shape, by: Origin(1), at: .zero, name: "t")
        let pairs = try (1...1000).map { number in
            var copies: [Record] = []
            for origin in [Origin(2), Origin(3)] {
                let row = random.row(shape, over: made.row(shape), unique: number)
                copies.append(try Record(writing: row, over: made, shape, by: origin, at: .zero, name: "t"))
            }
            return (mine: copies[0], bytes: try copies[1].bytes(shape), other: copies[1])
        }
        let clock = ContinuousClock()
        var changed = 0
        let merging = clock.measure {
            for pair in pairs {
                var merged = pair.mine
                if merged.merge(pair.other, shape) { changed += 1 }
            }
        }
        #expect(changed == pairs.count)
        let coding = try clock.measure {
            for pair in pairs {
                var merged = pair.mine
                _ = merged.merge(try RecordCoding.decode(pair.bytes, shape, name: "t"), shape)
                _ = try merged.bytes(shape)
            }
        }
        print("bench: \(table.name): \(rate(merging)) merges/s, \(rate(coding)) with decoding and encoding")
    }

    private func rate(_ duration: Duration) -> Int { Int(1000 / (duration / .seconds(1))) }
}
