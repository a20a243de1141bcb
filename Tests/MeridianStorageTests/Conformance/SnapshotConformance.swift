import MeridianCore
import Testing

@testable import MeridianStorage

/// What every `StateStore` does with snapshots, also between adapters.
@Suite("A snapshot") struct SnapshotConformance {
    private let a = RangeID(1)
    private let span = KeySpan("k", "l")

    /// A store with rows inside and outside the span, and versions and deletions among them.
    private func filled(_ adapter: Adapter, rows: Int = 60) throws -> StoreWorld {
        let world = try StoreWorld(adapter)
        var random = SplitMix64(seed: 7)
        for index in UInt64(1)...UInt64(rows) {
            let row = Int(random.below(25))
            let value: [UInt8]? = random.below(5) == 0 ? nil : [UInt8](repeating: UInt8(index), count: 40)
            let command = Command(
                request: RequestID(high: 1, low: index), timestamp: Timestamp(Int64(index)), closed: .zero,
                mutations: [
                    Mutation(key: Key("k\(row)"), value: value), Mutation(key: Key("x\(row)"), value: [1]),
                ])
            try world.state.apply([
                ApplyBatch(
                    range: a, commands: [IndexedCommand(index: LogIndex(index), command: command)],
                    state: AppliedState(index, term: 3, closed: Int64(index) - 1))
            ])
        }
        return world
    }

    private func chunks(_ reader: any SnapshotReader, _ byteLimit: Int) throws -> [SnapshotChunk] {
        var chunks: [SnapshotChunk] = []
        while let chunk = try reader.chunk(at: chunks.count, byteLimit: byteLimit) { chunks.append(chunk) }
        return chunks
    }

    /// Every version of the span, by looking at each timestamp.
    private func history(_ store: any StateStore) throws -> [[KeyedVersion]] {
        let reader = try store.makeReader()
        return try (0...70).map {
            try reader.scan(span, at: Timestamp($0), limit: 1000, byteLimit: 1_000_000).rows
        }
    }

    @Test(arguments: Adapter.allCases, Adapter.allCases)
    func carriesVersionsAndRequests(_ sender: Adapter, _ receiver: Adapter) throws {
        let source = try filled(sender)
        for byteLimit in [1, 100, 1000, 1_000_000] {
            let reader = try source.state.openSnapshot(of: a, span: span)
            #expect(reader.state == AppliedState(60, term: 3, closed: 59))
            let chunks = try chunks(reader, byteLimit)
            #expect(chunks.map(\.offset) == Array(0..<chunks.count))
            #expect(chunks.map(\.isLast) == Array(repeating: false, count: chunks.count - 1) + [true])
            let target = try StoreWorld(receiver)
            try target.state.apply([
                ApplyBatch(
                    range: a,
                    commands: [
                        IndexedCommand(
                            index: LogIndex(1),
                            command: Command(
                                request: RequestID(high: 5, low: 5), timestamp: Timestamp(1), closed: .zero,
                                mutations: [
                                    Mutation(key: Key("kold"), value: [1]), Mutation(key: Key("m"), value: [2]),
                                ]))
                    ], state: AppliedState(1))
            ])
            let writer = try target.state.receiveSnapshot(of: a, span: span, state: reader.state)
            for chunk in chunks { try writer.append(chunk) }
            #expect(try target.state.load()[a]?.position.index == LogIndex(1))
            #expect(try writer.commit() == .installed)
            // Durable at once: a crash without a checkpoint keeps it.
            for crash in [false, true] {
                #expect(try target.state.load()[a] == reader.state)
                #expect(try history(target.state) == history(source.state))
                let found = try target.state.makeReader()
                #expect(try found.read(Key("m"), at: .distantFuture)?.value == [2])
                #expect(try found.outcome(of: RequestID(high: 1, low: 60), in: a)?.index == LogIndex(60))
                #expect(try found.outcome(of: RequestID(high: 5, low: 5), in: a) == nil)
                try target.restart(crash: crash)
            }
            reader.close()
        }
    }

    @Test(arguments: Adapter.allCases) func isNotDisturbedByLaterChanges(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        let undisturbed = try chunks(try world.state.openSnapshot(of: a, span: span), 300)
        let reader = try world.state.openSnapshot(of: a, span: span)
        _ = try reader.chunk(at: 0, byteLimit: 300)
        let command = Command(
            request: RequestID(high: 2, low: 2), timestamp: Timestamp(100), closed: Timestamp(99),
            mutations: (0..<25).map { Mutation(key: Key("k\($0)"), value: [9]) })
        try world.state.apply([
            ApplyBatch(
                range: a, commands: [IndexedCommand(index: LogIndex(61), command: command)],
                state: AppliedState(61, closed: 99))
        ])
        try world.raiseThreshold(of: a, to: 1_000)
        #expect(try world.collect(a) > 0)
        _ = try world.state.checkpoint()
        try world.state.remove(a, span: span)
        #expect(try chunks(reader, 300) == undisturbed)
        #expect(reader.state.position.index == LogIndex(60))
    }

    /// Whoever reads beside an installation goes by the threshold that came with the rows.
    @Test(arguments: Adapter.allCases) func theThresholdComesAlong(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        try world.raiseThreshold(of: a, to: 30)
        try world.collect(a)
        let reader = try world.state.openSnapshot(of: a, span: span)
        #expect(reader.state.threshold == Timestamp(30))
        let other = try StoreWorld(adapter)
        let writer = try other.state.receiveSnapshot(of: a, span: span, state: reader.state)
        for chunk in try chunks(reader, 300) { try writer.append(chunk) }
        #expect(try other.state.makeReader().threshold(of: a) == .zero)
        _ = try writer.commit()
        #expect(try other.state.makeReader().threshold(of: a) == Timestamp(30))
        try other.restart(crash: true)
        #expect(try other.state.load()[a]?.threshold == Timestamp(30))
        #expect(try other.state.makeReader().threshold(of: a) == Timestamp(30))
    }

    @Test(arguments: Adapter.allCases) func aChunkCanBeAskedForAgain(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        let reader = try world.state.openSnapshot(of: a, span: span)
        let chunks = try chunks(reader, 200)
        #expect(chunks.count > 5)
        for offset in chunks.indices.reversed() {
            #expect(try reader.chunk(at: offset, byteLimit: 7) == chunks[offset])
        }
        #expect(try reader.chunk(at: chunks.count, byteLimit: 7) == nil)
        #expect(try reader.chunk(at: chunks.count + 5, byteLimit: 7) == nil)
    }

    @Test(arguments: Adapter.allCases) func aReceiverTakesChunksInOrderAndOnce(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        let reader = try world.state.openSnapshot(of: a, span: span)
        let chunks = try chunks(reader, 200)
        let target = try StoreWorld(adapter)
        let writer = try target.state.receiveSnapshot(of: a, span: span, state: reader.state)
        try writer.append(chunks[0])
        try writer.append(chunks[0])
        try writer.append(chunks[2])
        #expect(writer.nextOffset == 1)
        var damaged = chunks[1]
        damaged.bytes[damaged.bytes.count / 2] ^= 1
        #expect(code { try writer.append(damaged) } == .corruption)
        #expect(writer.nextOffset == 1)
        #expect(code { _ = try writer.commit() } == .corruption)
        for chunk in chunks[1...] { try writer.append(chunk) }
        #expect(try writer.commit() == .installed)
        #expect(try history(target.state) == history(world.state))
    }

    /// Entries that were applied while a snapshot waited stay: a late install is passed, a newer one goes through, and
    /// so does one of a later generation, whatever its index.
    @Test(arguments: Adapter.allCases) func neverTakesRowsBack(_ adapter: Adapter) throws {
        let source = try filled(adapter)
        let reader = try source.state.openSnapshot(of: a, span: span)
        let chunks = try chunks(reader, 500)
        let target = try filled(adapter, rows: 70)
        let before = try history(target.state)
        func install(_ state: AppliedState) throws -> SnapshotInstallation {
            let writer = try target.state.receiveSnapshot(of: a, span: span, state: state)
            for chunk in chunks { try writer.append(chunk) }
            return try writer.commit()
        }
        let applied = LogPosition(70, 3)
        let later = Generation(1).seal.next
        for (index, term) in [(UInt64(60), UInt64(3)), (70, 3), (69, 4)] {
            #expect(try install(AppliedState(index, term: term)) == .passed(applied))
            #expect(try history(target.state) == before)
            #expect(try target.state.load()[a]?.position == applied)
            #expect(try target.state.makeReader().outcome(of: RequestID(high: 1, low: 70), in: a) != nil)
        }
        #expect(try install(AppliedState(71, term: 3)) == .installed)
        #expect(try install(AppliedState(71, term: 3)) == .passed(LogPosition(71, 3)), "the last chunk came twice")
        #expect(try install(AppliedState(65, term: later.rawValue)) == .installed)
        #expect(try install(AppliedState(99, term: 3)) == .passed(LogPosition(term: later, index: LogIndex(65))))
        for crash in [true, false] {
            #expect(try history(target.state) == history(source.state))
            try target.restart(crash: crash)
        }
    }

    @Test(arguments: Adapter.allCases) func aDamagedSnapshotChangesNothing(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        let reader = try world.state.openSnapshot(of: a, span: span)
        let chunks = try chunks(reader, 500)
        let before = try history(world.state)
        var random = SplitMix64(seed: 3)
        for _ in 0..<50 {
            var damaged = chunks
            let victim = Int(random.below(UInt64(chunks.count)))
            if random.below(5) == 0, victim + 1 < chunks.count {
                // A chunk that is whole and in a wrong place, or twice.
                damaged[victim] = chunks[victim + 1]
                damaged[victim].offset = victim
                damaged[victim].isLast = false
            } else {
                let byte = Int(random.below(UInt64(damaged[victim].bytes.count)))
                damaged[victim].bytes[byte] ^= 1 << UInt8(random.below(8))
                damaged[victim].checksum = Checksum.of(damaged[victim].bytes)
            }
            let writer = try world.state.receiveSnapshot(of: a, span: span, state: AppliedState(99))
            for chunk in damaged { try writer.append(chunk) }
            #expect(code { _ = try writer.commit() } == .corruption)
            writer.cancel()
            #expect(try history(world.state) == before)
            #expect(try world.state.load()[a]?.position.index == LogIndex(60))
        }
    }

    @Test(arguments: Adapter.allCases) func aCancelledSnapshotChangesNothing(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        let reader = try world.state.openSnapshot(of: a, span: span)
        let target = try StoreWorld(adapter)
        let writer = try target.state.receiveSnapshot(of: a, span: span, state: reader.state)
        for chunk in try chunks(reader, 500) { try writer.append(chunk) }
        writer.cancel()
        #expect(try target.state.load().isEmpty)
        #expect(try target.state.makeReader().latestTimestamp(in: .all) == nil)
    }

    @Test(arguments: Adapter.allCases) func ofARangeThatIsNotThereFails(_ adapter: Adapter) throws {
        let world = try filled(adapter)
        #expect(code { _ = try world.state.openSnapshot(of: RangeID(2), span: span) } == .unavailable)
    }

    @Test(arguments: Adapter.allCases) func ofAnEmptyRangeIsOneChunk(_ adapter: Adapter) throws {
        let world = try StoreWorld(adapter)
        try world.state.apply([ApplyBatch(range: a, commands: [], state: AppliedState(1))])
        let reader = try world.state.openSnapshot(of: a, span: span)
        let chunks = try chunks(reader, 1)
        #expect(chunks.count == 1)
        let target = try StoreWorld(adapter)
        let writer = try target.state.receiveSnapshot(of: a, span: span, state: reader.state)
        for chunk in chunks { try writer.append(chunk) }
        #expect(try writer.commit() == .installed)
        #expect(try target.state.load() == world.state.load())
    }
}
