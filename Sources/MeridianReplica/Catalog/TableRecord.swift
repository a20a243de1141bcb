import MeridianCore
import MeridianPlacement

/// A table as the system range holds it: what it is, and which ranges hold its rows.
///
/// Every node has a replica of the system range, so every gateway routes by its own copy. The record names regions,
/// nodes and columns, never rows: ranges are bounded by table and region, so their bounds hold no personal data.
package struct TableRecord: Hashable, Sendable {
    package var descriptor: TableDescriptor
    package var ranges: [RangeDescriptor]
    /// Of an active-active table, one for each range.
    package var copies: [TableCopy] = []
    /// Rises with every change of the record.
    package var version: UInt32 = 0

    package init(descriptor: TableDescriptor, ranges: [RangeDescriptor]) {
        self.descriptor = descriptor
        self.ranges = ranges
    }

    /// 2: ranges that change after they were made. 3: active-active tables. 4: up to when forks are complete.
    /// 5: ranges that were given up, and what forks have lost.
    private static let format: Int64 = 5

    package func encoded() throws(MeridianError) -> [UInt8] {
        var values: [Value] = [
            .integer(Self.format), .integer(Int64(descriptor.id.rawValue)), .text(descriptor.name),
        ]
        switch descriptor.locality {
        case .regionalByRow(let column): values += [.integer(0), .text(column)]
        case .regional(let region): values += [.integer(1), .text(region.rawValue)]
        case .global: values += [.integer(2), .null]
        case .activeActive: values += [.integer(3), .null]
        }
        values.append(.integer(descriptor.goal == .zone ? 0 : 1))
        values.append(.integer(descriptor.placement == .unrestricted ? 0 : 1))
        switch descriptor.mode {
        case .synchronous: values += [.integer(0), .null]
        case .semiSynchronous(let remoteRegions): values += [.integer(1), .integer(Int64(remoteRegions))]
        case .asynchronous: values += [.integer(2), .null]
        }
        values += [.blob(descriptor.schema), .integer(Int64(ranges.count))]
        for range in ranges {
            values += [.integer(Int64(bitPattern: range.id.rawValue)), .blob(range.span.lower.bytes)]
            values += [range.span.upper.map { .blob($0.bytes) } ?? .null, .text(range.home.rawValue)]
            values.append(range.jurisdiction.map { .text($0.rawValue) } ?? .null)
            values += Self.values(of: range.commitRule)
            values += Self.values(of: range.members)
            values.append(.integer(Int64(range.preferredLeaders.count)))
            values += range.preferredLeaders.map { .integer(Int64($0.rawValue)) }
            values += Self.changes(of: range)
        }
        values.append(.integer(Int64(version)))
        values.append(.integer(descriptor.failover == .manual ? 0 : 1))
        values.append(descriptor.resolvers.map { .blob($0) } ?? .null)
        values.append(.integer(Int64(copies.count)))
        for copy in copies {
            values += [.integer(Int64(copy.number.rawValue)), .integer(Int64(bitPattern: copy.range.rawValue))]
            values += [.text(copy.region.rawValue), .integer(Int64(copy.state.rawValue))]
        }
        for fork in ranges.flatMap(\.forks) { values.append(.integer(fork.completeTo.rawValue)) }
        values += ranges.map { .integer($0.isGivenUp ? 1 : 0) }
        values += ranges.flatMap(\.forks).map { .integer($0.isLossless ? 1 : 0) }
        return try RowCoding.encode(values, name: "system.tables")
    }

    private static func values(of rule: CommitRule) -> [Value] {
        switch rule {
        case .majority: [.integer(0), .null]
        case .regionDiverse(let regions): [.integer(1), .integer(Int64(regions))]
        case .semiSynchronous(_, let regions): [.integer(2), .integer(Int64(regions))]
        case .asynchronous: [.integer(3), .null]
        }
    }

    private static func values(of members: [Member]) -> [Value] {
        var values: [Value] = [.integer(Int64(members.count))]
        for member in members {
            values += [.integer(Int64(member.node.rawValue)), .text(member.region.rawValue)]
            values.append(.integer(Int64(member.role.rawValue)))
        }
        return values
    }

    /// What format 2 has added.
    private static func changes(of range: RangeDescriptor) -> [Value] {
        var values: [Value] = [.text(range.partition.rawValue), .integer(Int64(range.revision))]
        values.append(.integer(Int64(range.generation.rawValue)))
        values.append(range.fence.map { .integer(Int64($0.rawValue)) } ?? .null)
        if let seed = range.seed {
            values += [.integer(Int64(seed.node.rawValue)), .integer(Int64(bitPattern: seed.fork.term.rawValue))]
            values.append(.integer(Int64(bitPattern: seed.fork.index.rawValue)))
        } else {
            values.append(.null)
        }
        values.append(.integer(Int64(range.forks.count)))
        values += range.forks.map { .integer(Int64(bitPattern: $0.index.rawValue)) }
        values.append(.integer(range.keepsEarlierHistory ? 1 : 0))
        guard let transition = range.transition else { return values + [.integer(0)] }
        values += [.integer(1)] + Self.values(of: transition.members)
        guard let rule = transition.commitRule else { return values + [.integer(0)] }
        guard case .semiSynchronous(let home, _) = rule else {
            return values + [.integer(1), .text(range.home.rawValue)] + Self.values(of: rule)
        }
        return values + [.integer(1), .text(home.rawValue)] + Self.values(of: rule)
    }

    package init(encoded bytes: [UInt8]) throws(MeridianError) {
        var reader = ValueReader(values: try RowCoding.decode(bytes, name: "system.tables"))
        let format = try reader.integer()
        guard format <= Self.format else {
            throw MeridianError(.newerFormat, "system.tables has records of format \(format); update this program")
        }
        let id = TableID(try reader.number())
        let name = try reader.text()
        guard !name.isEmpty else { throw ValueReader.malformed }
        let locality: Locality
        switch (try reader.integer(), try reader.optionalText()) {
        case (0, let column?): locality = .regionalByRow(column: column)
        case (1, let region?): locality = .regional(in: Region(region))
        case (2, nil): locality = .global
        case (3, nil): locality = .activeActive
        default: throw ValueReader.malformed
        }
        let goal: SurvivalGoal = try reader.integer() == 0 ? .zone : .region
        let placement: Placement = try reader.integer() == 0 ? .unrestricted : .restricted
        let mode: ReplicationMode
        switch (try reader.integer(), try reader.optionalInteger()) {
        case (0, nil): mode = .synchronous
        case (1, let regions?) where regions > 0: mode = .semiSynchronous(remoteRegions: Int(regions))
        case (2, nil): mode = .asynchronous
        default: throw ValueReader.malformed
        }
        descriptor = TableDescriptor(
            id: id, name: name, locality: locality, goal: goal, placement: placement, mode: mode,
            schema: try reader.blob())
        ranges = []
        for _ in 0..<(try reader.number()) { ranges.append(try reader.range(of: id, isFirstFormat: format == 1)) }
        if format > 1 {
            version = try reader.number()
            descriptor.failover = try reader.integer() == 0 ? .manual : .automatic
        }
        if format > 2 {
            descriptor.resolvers = try reader.optionalBlob()
            for _ in 0..<(try reader.number()) { copies.append(try reader.copy()) }
        }
        if format > 3 {
            for range in ranges.indices {
                for fork in ranges[range].forks.indices {
                    ranges[range].forks[fork].completeTo = Timestamp(rawValue: try reader.integer())
                }
            }
        }
        if format > 4 {
            for range in ranges.indices { ranges[range].isGivenUp = try reader.integer() != 0 }
            for range in ranges.indices {
                for fork in ranges[range].forks.indices {
                    ranges[range].forks[fork].isLossless = try reader.integer() != 0
                }
            }
        }
        guard (locality == .activeActive) == (descriptor.resolvers != nil),
            locality != .activeActive || copies.map(\.range) == ranges.map(\.id)
        else { throw ValueReader.malformed }
        guard reader.isAtEnd else { throw ValueReader.malformed }
    }
}

/// Takes the values of a record one by one.
private struct ValueReader {
    let values: [Value]
    private var position = 0

    init(values: [Value]) { self.values = values }

    static var malformed: MeridianError { MeridianError(.corruption, "a record of system.tables is malformed") }

    private mutating func next() throws(MeridianError) -> Value {
        guard position < values.count else { throw Self.malformed }
        position += 1
        return values[position - 1]
    }

    mutating func optionalInteger() throws(MeridianError) -> Int64? {
        switch try next() {
        case .integer(let integer): return integer
        case .null: return nil
        default: throw Self.malformed
        }
    }

    mutating func optionalText() throws(MeridianError) -> String? {
        switch try next() {
        case .text(let text): return text
        case .null: return nil
        default: throw Self.malformed
        }
    }

    mutating func optionalBlob() throws(MeridianError) -> [UInt8]? {
        switch try next() {
        case .blob(let bytes): return bytes
        case .null: return nil
        default: throw Self.malformed
        }
    }

    mutating func integer() throws(MeridianError) -> Int64 {
        guard let integer = try optionalInteger() else { throw Self.malformed }
        return integer
    }

    mutating func text() throws(MeridianError) -> String {
        guard let text = try optionalText() else { throw Self.malformed }
        return text
    }

    mutating func blob() throws(MeridianError) -> [UInt8] {
        guard let bytes = try optionalBlob() else { throw Self.malformed }
        return bytes
    }

    /// A count or a number of a thing.
    mutating func number() throws(MeridianError) -> UInt32 {
        guard let number = UInt32(exactly: try integer()) else { throw Self.malformed }
        return number
    }

    var isAtEnd: Bool { position == values.count }

    private mutating func node() throws(MeridianError) -> NodeID { NodeID(try number()) }

    private mutating func span() throws(MeridianError) -> KeySpan {
        let lower = Key(try blob())
        let upper = try optionalBlob().map { Key($0) }
        if let upper, upper <= lower { throw Self.malformed }
        return KeySpan(lower: lower, upper: upper)
    }

    private mutating func rule(home: Region) throws(MeridianError) -> CommitRule {
        switch (try integer(), try optionalInteger()) {
        case (0, _): return .majority
        case (1, let regions?) where regions > 0: return .regionDiverse(minimumRegions: Int(regions))
        case (2, let regions?) where regions > 0: return .semiSynchronous(home: home, remoteRegions: Int(regions))
        case (3, _): return .asynchronous(home: home)
        default: throw Self.malformed
        }
    }

    private mutating func members() throws(MeridianError) -> [Member] {
        var members: [Member] = []
        for _ in 0..<(try number()) {
            let node = try node()
            let region = Region(try text())
            guard let role = UInt8(exactly: try integer()).flatMap(ReplicaRole.init(rawValue:)),
                !members.contains(where: { $0.node == node })
            else { throw Self.malformed }
            members.append(Member(node: node, region: region, role: role))
        }
        return members
    }

    mutating func copy() throws(MeridianError) -> TableCopy {
        let number = TableID(try number())
        let range = RangeID(UInt64(bitPattern: try integer()))
        let region = Region(try text())
        guard let byte = UInt8(exactly: try integer()), let state = TableCopy.State(rawValue: byte) else {
            throw Self.malformed
        }
        return TableCopy(number: number, range: range, region: region, state: state)
    }

    private mutating func generation() throws(MeridianError) -> Generation { Generation(try number()) }

    mutating func range(of table: TableID, isFirstFormat: Bool) throws(MeridianError) -> RangeDescriptor {
        let id = RangeID(UInt64(bitPattern: try integer()))
        let span = try span()
        let home = Region(try text())
        let jurisdiction = try optionalText().map { Jurisdiction($0) }
        let rule = try rule(home: home)
        let members = try members()
        var leaders: [NodeID] = []
        for _ in 0..<(try number()) { leaders.append(try node()) }
        // Whom to ask follows from these, so there is one, and each is a voter.
        guard !leaders.isEmpty,
            leaders.allSatisfy({ leader in members.contains { $0.node == leader && $0.role == .voter } })
        else { throw Self.malformed }
        var range = RangeDescriptor(
            id: id, span: span, table: table, partition: isFirstFormat ? nil : Region(try text()), home: home,
            members: members, commitRule: rule, preferredLeaders: leaders, jurisdiction: jurisdiction)
        if !isFirstFormat { try changes(of: &range) }
        return range
    }

    /// What format 2 has added.
    private mutating func changes(of range: inout RangeDescriptor) throws(MeridianError) {
        range.revision = try number()
        range.generation = try generation()
        if let fence = try optionalInteger() {
            guard let number = UInt32(exactly: fence) else { throw Self.malformed }
            range.fence = Generation(number)
        }
        if let node = try optionalInteger() {
            guard let number = UInt32(exactly: node) else { throw Self.malformed }
            let term = Term(UInt64(bitPattern: try integer()))
            let index = LogIndex(UInt64(bitPattern: try integer()))
            range.seed = .init(node: NodeID(number), fork: LogPosition(term: term, index: index))
        }
        for _ in 0..<(try number()) {
            range.forks.append(.init(index: LogIndex(UInt64(bitPattern: try integer())), completeTo: .zero))
        }
        range.keepsEarlierHistory = try integer() != 0
        guard try integer() != 0 else { return }
        var transition = RangeDescriptor.Transition(members: try members(), commitRule: nil)
        if try integer() != 0 {
            let home = Region(try text())
            transition.commitRule = try rule(home: home)
        }
        range.transition = transition
    }
}
