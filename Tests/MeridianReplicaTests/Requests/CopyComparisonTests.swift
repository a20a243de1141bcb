import MeridianCore
import MeridianStorage
import MeridianTransactions
import Testing

@testable import MeridianReplica

/// Reads by which copies of a table compare and catch up.
@Suite struct CopyComparisonTests {
    private let range = RangeID(2)
    private static let rowCount = 3000

    /// Rows under a prefix, written at 10 in one commit; some deleted or changed at 20.
    private func reader(
        prefix: [UInt8], deleted: Set<Int> = [], changed: Set<Int> = [], valueByteCount: Int = 10
    ) throws -> any StateReader {
        let store = MemoryStateStore()
        func mutation(_ number: Int, _ value: [UInt8]?) -> Mutation { Mutation(key: key(prefix, number), value: value) }
        let later = deleted.sorted().map { mutation($0, nil) } + changed.sorted().map { mutation($0, [2]) }
        let commits = [
            (0..<Self.rowCount).map { mutation($0, [UInt8](repeating: UInt8($0 & 0xFF), count: valueByteCount)) },
            later,
        ]
        let commands = commits.enumerated().map { position, mutations in
            let timestamp = Timestamp(rawValue: Int64(position + 1) * 10)
            return IndexedCommand(
                index: LogIndex(UInt64(position + 1)),
                command: Command(
                    request: RequestID(high: 1, low: UInt64(position)), timestamp: timestamp, closed: .zero,
                    mutations: mutations))
        }
        let state = AppliedState(
            position: LogPosition(term: Term(1), index: LogIndex(2)), membership: Membership(members: []),
            closed: .zero)
        try store.apply([ApplyBatch(range: range, commands: commands, state: state)])
        return store.makeReader()
    }

    private func key(_ prefix: [UInt8], _ number: Int) -> Key {
        Key(prefix + [UInt8(number >> 8), UInt8(number & 0xFF)])
    }

    private func page(
        _ operation: ReadOperation, at timestamp: Int64, with reader: any StateReader
    ) throws -> Page {
        let evaluation = Evaluation(
            range: range, mark: Key([]), ticket: Latches.Ticket(rawValue: 1), term: Term(1),
            body: .read([operation], at: Timestamp(rawValue: timestamp), []))
        switch evaluation.run(with: reader).outcome {
        case .pages(let pages): return pages[0]
        case .failed(let error): throw error
        case .mayCommit, .alreadyApplied, .wasAborted: preconditionFailure("another answer")
        }
    }

    private func digests(
        _ prefix: [UInt8], at timestamp: Int64, with reader: any StateReader
    ) throws -> RowDigests {
        let span = KeySpan(prefix: prefix)
        let rows = try page(.digests(span, prefix: prefix.count), at: timestamp, with: reader).rows
        #expect(rows.map(\.key) == [span.lower])
        // The sums are of no one time that could be waited for.
        #expect(rows.map(\.version.timestamp) == [.zero])
        return try RowDigests(decoding: rows[0].version.value!)
    }

    /// The rows' numbers, from all pages.
    private func numbers(
        _ prefix: [UInt8], _ buckets: Set<UInt8>, at timestamp: Int64, limit: Int, byteLimit: Int,
        with reader: any StateReader
    ) throws -> [Int] {
        var numbers: [Int] = []
        var rest: ReadOperation? = .bucketRows(
            KeySpan(prefix: prefix), prefix: prefix.count, buckets: buckets, limit: limit, byteLimit: byteLimit)
        while let operation = rest {
            let page = try page(operation, at: timestamp, with: reader)
            #expect(page.rows.count <= limit)
            #expect(page.rows.count <= 1 || page.rows.reduce(0) { $0 + $1.version.value!.count } <= byteLimit)
            numbers += page.rows.map { Int($0.key.bytes[prefix.count]) << 8 | Int($0.key.bytes[prefix.count + 1]) }
            rest = operation.rest(after: page)
        }
        return numbers
    }

    @Test func copiesUnderOtherPrefixesHaveTheSameDigests() throws {
        let (mine, theirs) = (try reader(prefix: [1]), try reader(prefix: [9, 9, 9]))
        let digests = try digests([1], at: 15, with: mine)
        #expect(try digests == self.digests([9, 9, 9], at: 15, with: theirs))
        #expect(digests != RowDigests())
    }

    @Test func digestsAreOfTheLiveRowsAtTheTimestamp() throws {
        let reader = try reader(prefix: [1], deleted: [5, 2999], changed: [1700])
        var expected = RowDigests()
        for number in 0..<Self.rowCount where ![5, 2999].contains(number) {
            let value = number == 1700 ? [2] : [UInt8](repeating: UInt8(number & 0xFF), count: 10)
            expected.add(keySuffix: key([], number).bytes[...], value: value)
        }
        #expect(try digests([1], at: 20, with: reader) == expected)
        #expect(try digests([1], at: 9, with: reader) == RowDigests(), "nothing was written by then")
        #expect(try digests([1], at: 19, with: reader) == digests([7], at: 19, with: self.reader(prefix: [7])))
    }

    /// A page of a scan ends after 1 MiB, in the middle of these rows.
    @Test func digestsAndRowsGoBeyondAScansPage() throws {
        let reader = try reader(prefix: [1], valueByteCount: 1000)
        var expected = RowDigests()
        for number in 0..<Self.rowCount {
            let value = [UInt8](repeating: UInt8(number & 0xFF), count: 1000)
            expected.add(keySuffix: key([], number).bytes[...], value: value)
        }
        #expect(try digests([1], at: 10, with: reader) == expected)
        let all = Set((0...UInt8.max))
        #expect(
            try numbers([1], all, at: 10, limit: .max, byteLimit: .max, with: reader) == Array(0..<Self.rowCount))
    }

    @Test(arguments: [(limit: 1, byteLimit: 1), (3, .max), (.max, 25), (.max, .max)])
    func theRowsBehindADifferenceAreFound(limit: Int, byteLimit: Int) throws {
        let mine = try reader(prefix: [1], deleted: [5], changed: [1700])
        let theirs = try reader(prefix: [4, 4])
        let buckets = try digests([1], at: 20, with: mine).differingBuckets(
            from: digests([4, 4], at: 20, with: theirs))
        #expect(buckets == Set([5, 1700].map { RowDigests.bucket(ofKeySuffix: key([], $0).bytes[...]) }))
        let members = (0..<Self.rowCount).filter {
            buckets.contains(RowDigests.bucket(ofKeySuffix: key([], $0).bytes[...]))
        }
        let found = try numbers([4, 4], buckets, at: 20, limit: limit, byteLimit: byteLimit, with: theirs)
        #expect(found == members)
        let own = try numbers([1], buckets, at: 20, limit: limit, byteLimit: byteLimit, with: mine)
        #expect(own == members.filter { $0 != 5 })
        #expect(try numbers([1], [], at: 20, limit: limit, byteLimit: byteLimit, with: mine).isEmpty)
    }

    @Test func changesComeByTimeWithoutDeletions() throws {
        let reader = try reader(prefix: [1], deleted: [5], changed: [1700, 3])
        func changes(since: Int64, at timestamp: Int64) throws -> [Key] {
            let operation = ReadOperation.changes(
                KeySpan(prefix: [1]), since: Timestamp(rawValue: since), limit: 2, byteLimit: 5)
            return try page(operation, at: timestamp, with: reader).rows.map(\.key)
        }
        #expect(try changes(since: 10, at: 20) == [key([1], 3), key([1], 1700)])
        #expect(try changes(since: 0, at: 20).count == Self.rowCount - 3, "one commit is one page")
        #expect(try changes(since: 20, at: 30).isEmpty)
    }

    /// So that a commit to a row in them waits for the read, and a local read for such a commit.
    @Test func theNewReadsDependOnTheirSpans() {
        let span = KeySpan(prefix: [1, 2])
        let operations: [ReadOperation] = [
            .changes(span, since: .zero, limit: 1, byteLimit: 1), .digests(span, prefix: 1),
            .bucketRows(span, prefix: 1, buckets: [1], limit: 1, byteLimit: 1),
        ]
        for operation in operations { #expect(operation.footprint == .span(span)) }
    }
}
