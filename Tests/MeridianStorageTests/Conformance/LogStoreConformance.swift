import MeridianCore
import Testing

@testable import MeridianStorage

/// What every `LogStore` does. Each rule holds after a restart and after a crash as well.
@Suite("A log store") struct LogStoreConformance {
    private let a = RangeID(1)
    private let b = RangeID(.max)

    private func check(
        _ adapter: Adapter, _ batches: [[LogWrite]], _ expected: [RangeID: StoredLog], checkpoint: Bool = false
    ) throws {
        for crash in [false, true] {
            let world = try StoreWorld(adapter)
            for batch in batches { try world.log.write(batch) }
            if checkpoint { try world.log.checkpoint() }
            #expect(try world.log.load() == expected)
            try world.restart(crash: crash)
            #expect(try world.log.load() == expected)
            try world.restart(crash: crash)
            #expect(try world.log.load() == expected)
        }
    }

    @Test(arguments: Adapter.allCases) func isEmptyAtFirst(_ adapter: Adapter) throws {
        try check(adapter, [], [:])
    }

    @Test(arguments: Adapter.allCases) func keepsEntriesOfEveryKindAndHardState(_ adapter: Adapter) throws {
        let joint = Membership(
            members: Membership.sample.members, outgoing: [Member(node: NodeID(9), region: "ü", role: .voter)])
        let tombstone = Command(
            request: RequestID(high: .max, low: 0), timestamp: .distantFuture, closed: Timestamp(-1),
            mutations: [Mutation(key: Key([]), value: nil), Mutation(key: Key([0]), value: [])])
        let entries = [
            .empty(1), Entry(term: Term(2), index: LogIndex(2), payload: .membership(joint)),
            Entry(term: Term(.max), index: LogIndex(3), payload: .command(tombstone)), .command(4, term: .max),
        ]
        let hardState = HardState(term: Term(.max), vote: NodeID(.max), commit: LogIndex(3))
        try check(
            adapter,
            [[LogWrite(a, entries: entries, hardState: hardState), LogWrite(b, hardState: HardState(term: Term(1)))]],
            [
                a: StoredLog(hardState: hardState, entries: entries),
                b: StoredLog(hardState: HardState(term: Term(1))),
            ])
    }

    @Test(arguments: Adapter.allCases) func aRemovedGroupKeepsTheHardStateThatIsWrittenWithTheRemoval(
        _ adapter: Adapter
    ) throws {
        let kept = HardState(term: Term(9), vote: NodeID(2))
        var removal = LogWrite(a, hardState: kept)
        removal.remove = true
        try check(
            adapter, [[LogWrite(a, entries: .commands(1...3), hardState: HardState(term: Term(9)))], [removal]],
            [a: StoredLog(hardState: kept)])
    }

    @Test(arguments: Adapter.allCases) func appendsToManyRangesInOneBatch(_ adapter: Adapter) throws {
        try check(
            adapter,
            [
                [LogWrite(a, entries: .commands(1...3)), LogWrite(b, entries: .commands(1...2, term: 7))],
                [LogWrite(b, entries: .commands(3...5, term: 8)), LogWrite(a, entries: .commands(4...4))],
            ],
            [
                a: StoredLog(entries: .commands(1...4)),
                b: StoredLog(entries: .commands(1...2, term: 7) + .commands(3...5, term: 8)),
            ])
    }

    @Test(arguments: Adapter.allCases) func takesOneRangeTwiceInABatch(_ adapter: Adapter) throws {
        try check(
            adapter,
            [[LogWrite(a, entries: .commands(1...3)), LogWrite(a, entries: .commands(2...4, term: 2))]],
            [a: StoredLog(entries: .commands(1...1) + .commands(2...4, term: 2))])
    }

    @Test(arguments: Adapter.allCases) func replacesTheSuffixFromTheFirstIndexOn(_ adapter: Adapter) throws {
        let batches = [
            [LogWrite(a, entries: .commands(1...5))], [LogWrite(a, entries: .commands(6...9))],
            [LogWrite(a, entries: .commands(4...4, term: 2))],
        ]
        let expected: [RangeID: StoredLog] = [a: StoredLog(entries: .commands(1...3) + .commands(4...4, term: 2))]
        try check(adapter, batches, expected)
        try check(adapter, batches, expected, checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func replacesEverything(_ adapter: Adapter) throws {
        try check(
            adapter,
            [[LogWrite(a, entries: .commands(1...5))], [LogWrite(a, entries: .commands(1...2, term: 3))]],
            [a: StoredLog(entries: .commands(1...2, term: 3))], checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func compactionInABatchOfOthersHolds(_ adapter: Adapter) throws {
        let batches = [
            [LogWrite(a, entries: .commands(1...5))],
            [LogWrite(a, compact: LogPosition(3, 1)), LogWrite(b, entries: .commands(1...1))],
        ]
        let expected: [RangeID: StoredLog] = [
            a: StoredLog(base: LogPosition(3, 1), entries: .commands(4...5)), b: StoredLog(entries: .commands(1...1)),
        ]
        try check(adapter, batches, expected)
        try check(adapter, batches, expected, checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func compactionOfEverythingHoldsAfterACheckpoint(_ adapter: Adapter) throws {
        try check(
            adapter, [[LogWrite(a, entries: .commands(1...5))], [LogWrite(a, compact: LogPosition(5, 1))]],
            [a: StoredLog(base: LogPosition(5, 1))], checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func goesOnAfterACompaction(_ adapter: Adapter) throws {
        try check(
            adapter,
            [
                [LogWrite(a, entries: .commands(1...5))], [LogWrite(a, compact: LogPosition(4, 1))],
                [LogWrite(a, entries: .commands(6...7), compact: LogPosition(5, 1))],
                [LogWrite(a, compact: LogPosition(2, 1))],
            ],
            [a: StoredLog(base: LogPosition(5, 1), entries: .commands(6...7))], checkpoint: true)
    }

    /// Index 9 and 10 were replaced by a shorter suffix, which then is compacted away: they must not come back.
    @Test(arguments: Adapter.allCases) func whatWasReplacedDoesNotComeBackAfterCompaction(_ adapter: Adapter) throws {
        let batches = [
            [LogWrite(a, entries: .commands(1...10))], [LogWrite(a, entries: .commands(7...8, term: 2))],
            [LogWrite(a, compact: LogPosition(8, 2)), LogWrite(b, entries: .commands(1...1))],
        ]
        let expected: [RangeID: StoredLog] = [
            a: StoredLog(base: LogPosition(8, 2)), b: StoredLog(entries: .commands(1...1)),
        ]
        try check(adapter, batches, expected)
        try check(adapter, batches, expected, checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func startsAgainAfterAReset(_ adapter: Adapter) throws {
        let hardState = HardState(term: Term(3), vote: nil, commit: LogIndex(20))
        let batches = [
            [LogWrite(a, entries: .commands(1...5))],
            [LogWrite(a, reset: LogPosition(20, 3), entries: .commands(21...22, term: 3), hardState: hardState)],
        ]
        let expected: [RangeID: StoredLog] = [
            a: StoredLog(hardState: hardState, base: LogPosition(20, 3), entries: .commands(21...22, term: 3))
        ]
        try check(adapter, batches, expected)
        try check(adapter, batches, expected, checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func aResetKeepsTheHardState(_ adapter: Adapter) throws {
        let hardState = HardState(term: Term(3), vote: NodeID(2), commit: LogIndex(1))
        try check(
            adapter,
            [
                [LogWrite(a, entries: .commands(1...2), hardState: hardState)],
                [LogWrite(a, reset: LogPosition(9, 2))],
            ],
            [a: StoredLog(hardState: hardState, base: LogPosition(9, 2))])
    }

    @Test(arguments: Adapter.allCases) func forgetsARemovedGroup(_ adapter: Adapter) throws {
        let batches = [
            [LogWrite(a, entries: .commands(1...5), hardState: HardState(term: Term(1), commit: LogIndex(5)))],
            [LogWrite(a, remove: true)],
        ]
        try check(adapter, batches, [:])
        try check(adapter, batches, [:], checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func aGroupMadeAgainSeesNothingOfItsPredecessor(_ adapter: Adapter) throws {
        let batches = [
            [LogWrite(a, entries: .commands(1...5), hardState: HardState(term: Term(9)))],
            [LogWrite(a, remove: true, entries: .commands(1...2, term: 2))],
        ]
        let expected: [RangeID: StoredLog] = [a: StoredLog(entries: .commands(1...2, term: 2))]
        try check(adapter, batches, expected)
        try check(adapter, batches, expected, checkpoint: true)
    }

    @Test(arguments: Adapter.allCases) func takesLargeEntries(_ adapter: Adapter) throws {
        let entries: [Entry] = .commands(1...5, valueByteCount: 600_000)
        try check(adapter, [[LogWrite(a, entries: entries)]], [a: StoredLog(entries: entries)])
    }

    /// Random batches against the dictionary that a log store is, with restarts and crashes.
    @Test(arguments: Adapter.allCases, 1...UInt64(12)) func agreesWithAModel(_ adapter: Adapter, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let world = try StoreWorld(adapter)
        var model: [RangeID: StoredLog] = [:]
        for _ in 0..<150 {
            var batch: [LogWrite] = []
            for _ in 0...random.below(3) {
                batch.append(randomWrite(RangeID(random.below(3)), &model, &random))
            }
            try world.log.write(batch)
            if random.below(10) == 0 { try world.log.checkpoint() }
            guard random.below(12) == 0 else { continue }
            // A compaction alone may be lost, so it is made to hold before a crash.
            try world.log.checkpoint()
            try world.restart(crash: random.below(2) == 0)
            #expect(try world.log.load() == model, "seed \(seed)")
        }
        #expect(try world.log.load() == model, "seed \(seed)")
    }

    private func randomWrite(
        _ range: RangeID, _ model: inout [RangeID: StoredLog], _ random: inout SplitMix64
    ) -> LogWrite {
        var write = LogWrite(range: range)
        if random.below(20) == 0 {
            write.remove = true
            model[range] = nil
        }
        var log = model[range] ?? StoredLog()
        var last: UInt64 { log.base.index.rawValue + UInt64(log.entries.count) }
        if random.below(20) == 0 {
            write.reset = LogPosition(last + random.below(5), 4)
            log.base = write.reset!
            log.entries = []
        }
        if random.below(4) > 0 {
            let first =
                random.below(4) == 0
                ? log.base.index.rawValue + 1 + random.below(UInt64(log.entries.count) + 1) : last + 1
            write.entries = .commands(first...(first + random.below(6)), term: random.below(1000), valueByteCount: 20)
            log.entries.removeAll { $0.index.rawValue >= first }
            log.entries += write.entries
        }
        if random.below(3) == 0 || write.remove {
            write.hardState = HardState(term: Term(random.next()), vote: NodeID(3), commit: log.base.index)
            log.hardState = write.hardState!
        }
        if random.below(4) == 0, let entry = log.entries.randomElement(using: &random) {
            write.compact = entry.position
            log.entries.removeAll { $0.index <= entry.index }
            log.base = entry.position
        }
        if write.reset != nil || !write.entries.isEmpty || write.hardState != nil { model[range] = log }
        if write.compact != nil { model[range] = log }
        return write
    }
}
