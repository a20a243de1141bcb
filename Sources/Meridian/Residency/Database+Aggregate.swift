import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Analytics over rows that must stay at home: each jurisdiction's rows are read there, and only values over many rows
/// leave it.
extension Database {
    /// Computes values over all rows of a table, whatever jurisdictions they are at home in.
    ///
    /// ```swift
    /// let spending = try await db.aggregate(over: orders, [.count, .mean(\.amount)], groupedBy: \.product)
    /// for group in spending.groups { print(group.name ?? "", group.values) }
    /// ```
    ///
    /// Each jurisdiction's rows are read through a node of theirs, and combined there over its regions. What leaves are
    /// the values of each group to which at least as many persons contribute as the jurisdiction's rule asks
    /// (`JurisdictionRule.minimumGroupSize`), counted in the ledger as `aggregate`. Smaller groups, values to which
    /// fewer persons contribute, and what would follow from the others are withheld, and that they are is not told of
    /// groups. Rows under the client's own law are not subject to it.
    ///
    /// What this does not prevent: two questions whose difference is one person, and values that are made for one
    /// (docs/RESIDENCY.md). A minimum size is a rule for single answers, not differential privacy.
    ///
    /// All rows are seen as of one timestamp. Regions that do not answer are left out, and named.
    /// - Parameters:
    ///   - group: what the rows of a group have in common; `nil` makes one group of all.
    ///   - person: whose row it is. Needed where a rule asks for a minimum of persons.
    ///   - minimumGroupSize: a higher minimum than the rules', of persons, or of rows where nobody says whose they are.
    ///   - filter: which rows count.
    /// - Throws: `.jurisdictionViolation` where a rule does not let such a value leave, or asks for a minimum of
    ///   persons and `person` is missing; what reading throws, but for regions that do not answer.
    public func aggregate<Row>(
        over table: Table<Row>, _ aggregations: [Aggregation<Row>],
        groupedBy group: (@Sendable (Row) -> String)? = nil, person: (@Sendable (Row) -> String)? = nil,
        minimumGroupSize: Int = 1, where filter: @escaping @Sendable (Row) -> Bool = { _ in true },
        deadline: Duration = Database.defaultDeadline
    ) async throws -> AggregateResult {
        let end = host.deadline(after: deadline)
        let resolved = try await resolve(table, end: end)
        let question = AggregateQuestion(
            aggregations: aggregations, group: group, person: person, filter: filter)
        let own = host.topology.jurisdiction(of: client)
        var homes: [Jurisdiction: [RangeDescriptor]] = [:]
        // Each copy of an active-active table has all rows.
        let ranges = resolved.isActiveActive ? resolved.homes(nearest: region) : resolved.record.ranges
        for range in ranges {
            let law = host.topology.jurisdiction(of: range.home)
            if law != own { try check(question, under: law) }
            homes[law, default: []].append(range)
        }
        let timestamp = try await readTimestamp(end: end)
        let laws = homes.keys.sorted()
        let answers = try await withThrowingTaskGroup(of: (Int, AggregateAnswer).self) { tasks in
            for (position, law) in laws.enumerated() {
                let ranges = homes[law] ?? []
                tasks.addTask {
                    let found = try await evaluate(question, resolved, table, ranges, law, at: timestamp, end: end)
                    return (position, found)
                }
            }
            var answers = [AggregateAnswer?](repeating: nil, count: laws.count)
            for try await (position, answer) in tasks { answers[position] = answer }
            return answers.compactMap(\.self)
        }
        var result = AggregateResult(groups: [], timestamp: timestamp, missing: [], withheldGroups: [:])
        var groups: [String?: [AggregatePart]] = [:]
        for (law, answer) in zip(laws, answers) {
            let size = max(minimumGroupSize, host.rules[law]?.minimumGroupSize ?? 1)
            let published = law == own ? answer : answer.published(minimum: size)
            result.missing += answer.missing
            if law != own, size > 1 { result.withheldGroups[law] = size }
            if law != own, let range = homes[law]?.first {
                host.noteEgress(
                    EgressCount(messages: 1, bytes: UInt64(published.byteCount)), over: .aggregate,
                    on: EgressRoute(from: law, to: own), of: range.id)
            }
            for (name, found) in published.groups {
                groups[name] = groups[name].map { zip($0, found.parts).map { $0 + $1 } } ?? found.parts
            }
        }
        result.missing.sort()
        result.groups = groups.map { AggregateResult.Group(name: $0, values: $1.map(\.value)) }
        result.groups.sort { ($0.name ?? "") < ($1.name ?? "") }
        return result
    }

    private func check<Row>(_ question: AggregateQuestion<Row>, under law: Jurisdiction) throws(MeridianError) {
        guard let rule = host.rules[law] else { return }
        guard rule.minimumGroupSize == 1 || question.person != nil else {
            throw MeridianError(
                .jurisdictionViolation,
                "the rule of \(law) lets values over \(rule.minimumGroupSize) persons or more leave; say whose row "
                    + "each is (person:), or ask from a region of \(law)")
        }
        for aggregation in question.aggregations where !rule.aggregates.contains(aggregation.function) {
            let allowed = rule.aggregates.map(\.rawValue).joined(separator: ", ")
            throw MeridianError(
                .jurisdictionViolation,
                "the rule of \(law) does not let \(aggregation.function.rawValue) leave; ask for "
                    + (allowed.isEmpty ? "nothing" : allowed) + ", or ask from a region of \(law)")
        }
    }

    /// Reads a jurisdiction's rows inside of it. A region whose nodes are all down may be read through another of the
    /// same jurisdiction.
    private func evaluate<Row>(
        _ question: AggregateQuestion<Row>, _ resolved: ResolvedTable, _ table: Table<Row>,
        _ ranges: [RangeDescriptor], _ law: Jurisdiction, at timestamp: Timestamp, end: Instant
    ) async throws -> AggregateAnswer {
        let inside = host.topology.regions(in: law)
        return try await withThrowingTaskGroup(of: AggregateAnswer.self) { tasks in
            for range in ranges {
                let gateways = [range.home] + inside.filter { $0 != range.home }
                tasks.addTask {
                    for gateway in gateways {
                        let reader = RowReader(
                            database: Database(host: host, region: gateway), end: end, timestamp: timestamp)
                        do {
                            var answer = AggregateAnswer()
                            let rows = try await reader.scan(resolved, prefix: [], in: range.partition, limit: .max)
                            for (number, found) in rows.enumerated() {
                                question.add(try table.decode(found), .row(range.id, number), to: &answer)
                            }
                            return answer
                        } catch let error as MeridianError where error.code == .unavailable {
                            continue
                        } catch let error as MeridianError where error.code == .deadlineExceeded {
                            break
                        }
                    }
                    return AggregateAnswer(missing: [range.partition])
                }
            }
            return try await tasks.reduce(into: AggregateAnswer()) { $0.merge($1) }
        }
    }
}

/// What is asked of each row.
private struct AggregateQuestion<Row: Codable & Sendable>: Sendable {
    var aggregations: [Aggregation<Row>]
    var group: (@Sendable (Row) -> String)?
    var person: (@Sendable (Row) -> String)?
    var filter: @Sendable (Row) -> Bool

    /// - Parameter row: names the row, where nobody says whose it is.
    func add(_ row: Row, _ name: Contributor, to answer: inout AggregateAnswer) {
        guard filter(row) else { return }
        let empty = AggregateAnswer.Group(
            parts: aggregations.map { AggregatePart(function: $0.function, bounds: $0.bounds) })
        let contributor = person.map { .person($0(row)) } ?? name
        answer.groups[group.map { $0(row) }, default: empty].add(aggregations.map { $0.number(row) }, contributor)
    }
}

/// What a jurisdiction knows, before and after it decides what to tell.
private struct AggregateAnswer: Sendable {
    struct Group: Sendable {
        var parts: [AggregatePart]
        /// Where rows count, in each of the parts, and whose such rows are (`CellSuppression`).
        var patterns: [[Int?]: Set<Contributor>] = [:]

        mutating func add(_ numbers: [Double?], _ contributor: Contributor) {
            let pattern = numbers.indices.map { position in numbers[position].flatMap { parts[position].add($0) } }
            patterns[pattern, default: []].insert(contributor)
        }

        var personCount: Int { patterns.values.reduce(into: Set<Contributor>()) { $0.formUnion($1) }.count }
    }

    var groups: [String?: Group] = [:]
    var missing: [Region] = []

    mutating func merge(_ other: AggregateAnswer) {
        missing += other.missing
        for (name, theirs) in other.groups {
            guard var mine = groups[name] else {
                groups[name] = theirs
                continue
            }
            mine.patterns.merge(theirs.patterns) { $0.union($1) }
            mine.parts = zip(mine.parts, theirs.parts).map { $0 + $1 }
            groups[name] = mine
        }
    }

    func published(minimum: Int) -> AggregateAnswer {
        var published = AggregateAnswer(missing: missing)
        for (name, group) in groups where group.personCount >= minimum {
            let widths = group.parts.map(\.cellCount)
            let told =
                minimum > 1
                ? CellSuppression(widths: widths, patterns: group.patterns, minimum: minimum).told
                : widths.map { Array(repeating: true, count: $0) }
            published.groups[name] = Group(parts: zip(group.parts, told).map { $0.published($1) })
        }
        return published
    }

    var byteCount: Int {
        groups.reduce(0) { sum, group in
            group.value.parts.reduce(sum + (group.key?.utf8.count ?? 0)) { $0 + $1.byteCount }
        }
    }
}
