import MeridianCore
import MeridianStorage
import Testing

/// Pages of rows: wherever they end, together they are all rows, each once, and the last one says that it is.
@Suite struct PageConformance {
    private let range = RangeID(2)

    private func apply(_ store: any StateStore, _ index: UInt64, _ mutations: [Mutation]) throws {
        let command = Command(
            request: RequestID(high: 1, low: index), timestamp: Timestamp(Int64(index) * 10), closed: .zero,
            mutations: mutations)
        try store.apply([
            ApplyBatch(
                range: range, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                state: AppliedState(index))
        ])
    }

    /// The pages of a span, one after the other.
    private func pages(_ span: KeySpan, limit: Int, byteLimit: Int, _ ask: (KeySpan) throws -> Page) throws -> [Page] {
        var pages: [Page] = []
        var rest: KeySpan? = span
        while let left = rest {
            let page = try ask(left)
            pages.append(page)
            #expect(page.rows.count <= limit)
            let bytes = page.rows.reduce(0) { $0 + ($1.version.value?.count ?? 0) }
            #expect(page.rows.count <= 1 || bytes <= byteLimit)
            rest = nil
            guard let resume = page.resume else { break }
            guard case .key(let next) = resume else {
                Issue.record("a page of keys resumes at a time")
                break
            }
            #expect(span.contains(next) && page.rows.allSatisfy { $0.key < next })
            // A page ends because it is full, or because the next row does not fit.
            let follower = try ask(left.from(next)).rows.first { $0.key == next }
            #expect(
                page.rows.count == limit || bytes >= byteLimit
                    || bytes + (follower?.version.value?.count ?? 0) > byteLimit, "a page ended early")
            rest = left.from(next)
        }
        return pages
    }

    @Test(arguments: Adapter.allCases, 1...UInt64(12))
    func pagesOfAnyLengthAreAllRowsOnce(_ adapter: Adapter, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        func key() -> Key { Key((0...random.below(2)).map { _ in UInt8(random.below(9)) }) }
        let world = try StoreWorld(adapter)
        for index in 1...UInt64(30) {
            let keys = Set((0...random.below(6)).map { _ in key() }).sorted()
            try apply(
                world.state, index,
                keys.map { key in
                    let count = random.below(8) == 0 ? 500 : random.below(20)
                    return Mutation(
                        key: key,
                        value: random.below(4) == 0 ? nil : [UInt8](repeating: UInt8(index), count: Int(count)))
                })
            if random.below(4) == 0 { _ = try world.state.checkpoint() }
        }
        let reader = try world.state.makeReader()
        for _ in 0..<40 {
            let bounds = [key(), key()].sorted()
            let span = random.below(3) == 0 ? .all : KeySpan(lower: bounds[0], upper: bounds[1])
            let timestamp = Timestamp(Int64(random.below(310)))
            let limit = [1, 2, 5, 1000][Int(random.below(4))]
            let byteLimit = [0, 1, 20, 100, 600, .max][Int(random.below(6))]
            let whole = try reader.scan(span, at: timestamp, limit: .max, byteLimit: .max)
            #expect(whole.resume == nil)
            let scanned = try pages(span, limit: limit, byteLimit: byteLimit) {
                try reader.scan($0, at: timestamp, limit: limit, byteLimit: byteLimit)
            }
            #expect(scanned.flatMap(\.rows) == whole.rows, "seed \(seed)")
            #expect(try reader.rows(of: span, at: timestamp) == whole.rows)
            let newest = try reader.newest(in: span, since: timestamp, limit: .max, byteLimit: .max)
            let found = try pages(span, limit: limit, byteLimit: byteLimit) {
                try reader.newest(in: $0, since: timestamp, limit: limit, byteLimit: byteLimit)
            }
            #expect(found.flatMap(\.rows) == newest.rows, "seed \(seed)")
        }
    }

    /// What the finding was: three thousand rows of a thousand bytes, of which a client saw 1,040.
    @Test(arguments: Adapter.allCases) func aPageEndsBeforeARowThatDoesNotFitAndSaysSo(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        let keys = (0..<5).map { Key([UInt8($0)]) }
        try apply(world.state, 1, keys.map { Mutation(key: $0, value: [UInt8](repeating: 7, count: 600)) })
        let reader = try world.state.makeReader()
        let page = try reader.scan(.all, at: .distantFuture, limit: 100, byteLimit: 1000)
        #expect(page.rows.map(\.key) == [keys[0]])
        #expect(page.resume == .key(keys[1]))
        let last = try reader.scan(KeySpan(lower: keys[4], upper: nil), at: .distantFuture, limit: 9, byteLimit: 1000)
        #expect(last.rows.count == 1 && last.resume == nil)
        let exact = KeySpan(lower: keys[4], upper: keys[4].successor)
        #expect(try reader.scan(exact, at: .distantFuture, limit: 1, byteLimit: 1).resume == nil)
    }
}
