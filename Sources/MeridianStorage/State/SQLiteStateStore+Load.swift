import MeridianCore
import Synchronization

/// Reading back, at a start, how far each range has been applied and which requests are remembered.
extension SQLiteStateStore {
    package func load() throws -> [RangeID: AppliedState] {
        if recent.withLock({ $0.isLoaded }) { return recent.withLock { $0.states } }
        return try file.withLock { file in
            requests.forgetAll()
            let ranges = try file.load { requests.remember($0, in: $1, closed: $2) }
            let states = ranges.mapValues(\.state)
            recent.withLock {
                $0.states = states
                $0.books = Books()
                for (range, stored) in ranges { $0.books.replace(range, by: stored.digest) }
                $0.isLoaded = true
            }
            return states
        }
    }

    func loadIfNeeded() throws {
        if !recent.withLock({ $0.isLoaded }) { _ = try load() }
    }
}

extension StateFile {
    fileprivate func load(
        _ remember: ([RequestMemory.Outcome], RangeID, _ closed: Timestamp) -> Void
    ) throws -> [RangeID: StoredRange] {
        let readRanges = try connection.prepare("read ranges", "SELECT * FROM ranges")
        let readRequests = try connection.prepare("read requests", "SELECT * FROM requests ORDER BY sequence")
        var states: [RangeID: StoredRange] = [:]
        requestRows = [:]
        try connection.perform {
            defer {
                readRanges.reset()
                readRequests.reset()
            }
            while try readRanges.step() {
                let (range, state) = try Self.state(in: readRanges)
                states[range] = state
            }
            while try readRequests.step() {
                let sequence = readRequests.integer(0)
                let (range, newest, outcomes) = try Self.outcomes(in: readRequests)
                nextRequestSequence = max(nextRequestSequence, sequence + 1)
                guard let state = states[range] else { continue }
                requestRows[range, default: []].append(RequestRow(sequence: sequence, newest: newest))
                remember(outcomes, range, state.state.forgetting)
            }
        }
        return states
    }

    /// A range's row.
    struct StoredRange: Sendable {
        var state: AppliedState
        /// Of the versions in the file; `nil` when an earlier format has none.
        var digest: RangeDigest?
    }

    func put(_ state: AppliedState, _ digest: RangeDigest?, of range: RangeID) throws {
        buffer.removeAll()
        MembershipCoding.encode(state.membership, to: &buffer)
        transactionBuffer.removeAll()
        TransactionCoding.encode(state.transactions, to: &transactionBuffer)
        upkeepBuffer.removeAll()
        UpkeepCoding.encode(state, digest, to: &upkeepBuffer)
        putRange.bind(1, range.rawValue)
        putRange.bind(2, state.position.term.rawValue)
        putRange.bind(3, state.position.index.rawValue)
        putRange.bind(4, state.closed.rawValue)
        putRange.bind(5, buffer.bytes)
        let checksum = Self.checksum(
            range, state.position, state.closed, buffer.bytes, transactionBuffer.bytes, upkeepBuffer.bytes)
        putRange.bind(6, Int64(checksum))
        putRange.bind(7, transactionBuffer.bytes)
        putRange.bind(8, upkeepBuffer.bytes)
        try putRange.run()
    }

    /// Writes remembered requests, at least one.
    func put(_ outcomes: [RequestMemory.Outcome], of range: RangeID, sequence: Int64) throws -> RequestRow {
        let newest = outcomes.reduce(outcomes[0].applied.timestamp) { max($0, $1.applied.timestamp) }
        buffer.removeAll()
        for outcome in outcomes { OutcomeCoding.encode(outcome, to: &buffer) }
        putRequests.bind(1, sequence)
        putRequests.bind(2, range.rawValue)
        putRequests.bind(3, newest.rawValue)
        putRequests.bind(4, buffer.bytes)
        putRequests.bind(5, Int64(Self.checksum(range, sequence, newest, buffer.bytes)))
        try putRequests.run()
        return RequestRow(sequence: sequence, newest: newest)
    }

    static func state(in row: SQLiteStatement) throws -> (RangeID, StoredRange) {
        let range = RangeID(row.unsigned(0))
        let position = LogPosition(term: Term(row.unsigned(1)), index: LogIndex(row.unsigned(2)))
        let closed = Timestamp(rawValue: row.integer(3))
        let bytes = row.blob(4)
        do {
            let table = row.blob(6)
            let upkeep = row.blob(7)
            guard row.integer(5) == Int64(checksum(range, position, closed, bytes, table, upkeep)) else {
                throw ByteReader.Malformed()
            }
            var reader = ByteReader(bytes)
            let membership = try MembershipCoding.decode(&reader)
            try reader.expectEnd()
            var tableReader = ByteReader(table)
            let transactions = try TransactionCoding.decodeTable(&tableReader)
            var state = AppliedState(
                position: position, membership: membership, closed: closed, transactions: transactions)
            var upkeepReader = ByteReader(upkeep)
            let digest = try UpkeepCoding.decode(&upkeepReader, into: &state)
            return (range, StoredRange(state: state, digest: digest))
        } catch {
            throw MeridianError(.corruption, "state.sqlite: ranges: \(range) is damaged")
        }
    }

    static func outcomes(in row: SQLiteStatement) throws -> (RangeID, Timestamp, [RequestMemory.Outcome]) {
        let range = RangeID(row.unsigned(1))
        let newest = Timestamp(rawValue: row.integer(2))
        let bytes = row.blob(3)
        do {
            guard row.integer(4) == Int64(checksum(range, row.integer(0), newest, bytes)) else {
                throw ByteReader.Malformed()
            }
            var reader = ByteReader(bytes)
            var outcomes: [RequestMemory.Outcome] = []
            outcomes.reserveCapacity(bytes.count / OutcomeCoding.byteCount)
            while reader.remaining > 0 { outcomes.append(try OutcomeCoding.decode(&reader)) }
            return (range, newest, outcomes)
        } catch {
            throw MeridianError(.corruption, "state.sqlite: requests: \(range) row \(row.integer(0)) is damaged")
        }
    }

    private static func checksum(
        _ range: RangeID, _ position: LogPosition, _ closed: Timestamp, _ membership: UnsafeRawBufferPointer,
        _ transactions: UnsafeRawBufferPointer, _ upkeep: UnsafeRawBufferPointer
    ) -> UInt32 {
        var checksum = Checksum()
        checksum.combine(range.rawValue)
        checksum.combine(position.term.rawValue)
        checksum.combine(position.index.rawValue)
        checksum.combine(UInt64(bitPattern: closed.rawValue))
        checksum.combine(membership)
        checksum.combine(transactions)
        checksum.combine(upkeep)
        return checksum.value
    }

    private static func checksum(
        _ range: RangeID, _ sequence: Int64, _ newest: Timestamp, _ outcomes: UnsafeRawBufferPointer
    ) -> UInt32 {
        var checksum = Checksum()
        checksum.combine(range.rawValue)
        checksum.combine(UInt64(bitPattern: sequence))
        checksum.combine(UInt64(bitPattern: newest.rawValue))
        checksum.combine(outcomes)
        return checksum.value
    }
}
