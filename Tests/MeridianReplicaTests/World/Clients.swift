import MeridianCore

@testable import MeridianReplica

/// Clients that read and write a few registers through any gateway, and keep account of what they were told.
final class Clients {
    enum Kind {
        case write
        case insert
        case read
        /// Reads, then writes if nobody wrote in between.
        case update(since: Timestamp)
    }

    struct Operation {
        var id: RequestID
        var kind: Kind
        var key: Key
        var value: [UInt8]
        var invoked: Int64
        var answered: Int64?
        var outcome: Outcome?
        var attempts = 0
        var deadline: Int64 = 0
        var gateway = 0

        enum Outcome {
            case committed(Timestamp)
            case read(Timestamp, [UInt8]?)
            case refused(MeridianError)
            case unknown
        }
    }

    /// Gateways look at their deadlines every 10 ms.
    static let slackNanoseconds: Int64 = 12_000_000

    let world: World
    private(set) var operations: [Operation] = []
    private var waiting: [GatewayRequestID: Int] = [:]
    private var nextCall: UInt64 = 1
    var keys = 4
    var isOpen = true
    /// Called when an operation has ended.
    private var continuations: [Int: (Operation) -> Void] = [:]

    init(_ world: World) {
        self.world = world
        world.onAnswer = { [unowned self] in answered($0, $1) }
        world.onCrash = { [unowned self] in crashed($0) }
    }

    var outstanding: Int { waiting.count }

    /// One client: an operation, a pause, the next.
    func run(pauseNanoseconds: Int64) {
        guard isOpen else { return }
        let key = World.key(Int(world.below(Int64(keys))))
        let again: (Operation) -> Void = { [unowned self] _ in
            world.after(world.below(2 * pauseNanoseconds)) { [unowned self] in run(pauseNanoseconds: pauseNanoseconds) }
        }
        switch world.below(10) {
        case 0..<3: start(.write, key, again)
        case 3: start(.insert, key, again)
        case 4..<7: start(.read, key, again)
        default:
            start(.read, key) { [unowned self] read in
                guard case .read(let timestamp, _)? = read.outcome else { return again(read) }
                start(.update(since: timestamp), key, again)
            }
        }
    }

    @discardableResult
    func start(_ kind: Kind, _ key: Key, at gateway: Int? = nil, _ end: @escaping (Operation) -> Void = { _ in }) -> Int
    {
        let number = operations.count
        let value = withUnsafeBytes(of: UInt64(number).bigEndian) { Array($0) }
        operations.append(
            Operation(
                id: RequestID(high: 7, low: UInt64(number)), kind: kind, key: key, value: value, invoked: world.now))
        continuations[number] = end
        attempt(number, at: gateway)
        return number
    }

    private func attempt(_ number: Int, at chosen: Int? = nil) {
        let up = world.nodes.indices.filter { world.nodes[$0].core != nil }
        guard !up.isEmpty else {
            world.after(20_000_000) { [unowned self] in attempt(number) }
            return
        }
        let gateway = chosen ?? up[Int(world.below(Int64(up.count)))]
        let operation = operations[number]
        let body: GatewayCall.Body
        switch operation.kind {
        case .read: body = .read(ReadRequest(timestamp: nil, operations: [.get(operation.key)]))
        case .write: body = commit(operation, [])
        case .insert: body = commit(operation, [.absent(operation.key)])
        case .update(let since): body = commit(operation, [.unchanged(operation.key, since: since)])
        }
        let patience = 200_000_000 + world.below(1_500_000_000)
        operations[number].deadline = world.now + patience
        operations[number].gateway = gateway
        operations[number].attempts += 1
        let id = GatewayRequestID(rawValue: nextCall)
        nextCall += 1
        waiting[id] = number
        let call = GatewayCall(
            id: id, range: World.data, body: body,
            deadline: world.moment(gateway).instant.advanced(byNanoseconds: patience),
            mayBeRepeated: operation.attempts > 0)
        world.step(gateway, [.call(call)])
    }

    private func commit(_ operation: Operation, _ preconditions: [Precondition]) -> GatewayCall.Body {
        .commit(
            CommitRequest(
                id: operation.id, preconditions: preconditions,
                mutations: [Mutation(key: operation.key, value: operation.value)]))
    }

    private func answered(_ gateway: Int, _ answer: GatewayAnswer) {
        guard let number = waiting.removeValue(forKey: answer.id) else {
            world.failures.append("an answer to a call that nobody waits for")
            return
        }
        if world.now > operations[number].deadline + Self.slackNanoseconds {
            world.failures.append("operation \(number) answered \(world.now - operations[number].deadline) ns late")
        }
        switch answer.body {
        case .committed(let result, _): end(number, .committed(result.timestamp))
        case .read(let result): end(number, .read(result.timestamp, result.rows[0].first?.version.value))
        case .done: world.failures.append("operation \(number) was answered as if it asked for nothing")
        case .failed(let error):
            if case .read = operations[number].kind { return end(number, .refused(error)) }
            guard error.commitOutcome == .unknown else { return end(number, .refused(error)) }
            again(number)
        }
    }

    /// The outcome is unknown: asked again under the same id.
    private func again(_ number: Int) {
        guard operations[number].attempts < 20 else { return end(number, .unknown) }
        world.after(world.below(20_000_000)) { [unowned self] in attempt(number) }
    }

    private func crashed(_ gateway: Int) {
        for (id, number) in waiting.sorted(by: { $0.key < $1.key }) where operations[number].gateway == gateway {
            waiting[id] = nil
            again(number)
        }
    }

    private func end(_ number: Int, _ outcome: Operation.Outcome) {
        operations[number].answered = world.now
        operations[number].outcome = outcome
        continuations.removeValue(forKey: number)?(operations[number])
    }

    /// Calls that live gateways should have answered by now.
    var overdue: Int {
        waiting.values.filter {
            world.nodes[operations[$0].gateway].core != nil
                && world.now > operations[$0].deadline + Self.slackNanoseconds
        }.count
    }
}
