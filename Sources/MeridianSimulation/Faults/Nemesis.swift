import MeridianClock
import MeridianCore
import MeridianReplica
import MeridianRuntime

/// Makes a fault plan happen to a world, and takes it all back at the end of the safety phase.
final class Nemesis {
    private let engine: Engine
    private let plan: FaultPlan
    /// What ends each episode that has begun and not ended, by its number.
    private var endings: [Int: () -> Void] = [:]
    private var isOver = false
    /// Episodes that have begun, for the report.
    private(set) var begun: [Int] = []
    /// Nodes whose clocks are never set right again: never more than one, or a majority could be outvoted.
    private var clockIsGone: Set<Int> = []
    /// A node whose files are no longer good is started with an empty disk and must win its place back.
    private var mustReplace: Set<Int> = []

    init(_ engine: Engine, _ plan: FaultPlan) {
        self.engine = engine
        self.plan = plan
    }

    /// The weather begins now, and the episodes are scheduled from here on.
    func begin() {
        let weather = plan.weather
        engine.network.weather = .init(
            jitter: weather.jitter, loss: weather.loss, duplication: weather.duplication,
            reordering: weather.reordering, corruption: weather.corruption, bandwidth: weather.bandwidth)
        engine.timing.diskNanoseconds = weather.diskNanoseconds
        engine.timing.evaluationNanoseconds = weather.evaluationNanoseconds
        for episode in plan.episodes {
            engine.after(episode.start.nanoseconds) { [self] in start(episode) }
        }
        engine.onFailedStart = { [self] node, error in cannotStart(node, error) }
    }

    /// Every fault ends, every node runs: the liveness phase.
    func end() {
        isOver = true
        engine.network.weather = .init()
        engine.timing.diskNanoseconds = FaultPlan.Weather().diskNanoseconds
        engine.timing.evaluationNanoseconds = 0
        for number in endings.keys.sorted() { endings.removeValue(forKey: number)?() }
        engine.network.unclogAll()
        for node in engine.nodes {
            if !clockIsGone.contains(node.position) { node.healClock() }
            node.storage.trouble = DiskTrouble()
            node.stalledUntil = 0
            // After a failed sync the node's files are thrown away (`cannotStart`).
            if node.isLogDead { engine.crash(node) }
            restart(node)
        }
    }

    // MARK: Episodes

    private func start(_ episode: FaultPlan.Episode) {
        guard !isOver else { return }
        var random = SplitMix64(seed: episode.seed)
        let node = engine.nodes[position(of: episode.target)]
        begun.append(episode.number)
        engine.hash.note(6, engine.now, UInt64(episode.number))
        engine.trace?("fault \(episode.number) begins: \(episode.kind.rawValue) at \(node.id)")
        let ending = begin(episode, node, &random)
        endings[episode.number] = ending
        engine.after(episode.length.nanoseconds) { [self] in
            guard let ending = endings.removeValue(forKey: episode.number) else { return }
            engine.trace?("fault \(episode.number) ends: \(episode.kind.rawValue)")
            ending()
        }
    }

    private func position(of target: FaultPlan.Target) -> Int {
        switch target {
        case .node(let position): return position
        case .leader(let choice):
            let leaders = engine.leaders
            return leaders.isEmpty
                ? Int(choice) % engine.nodes.count : leaders[Int(choice) % leaders.count].position
        }
    }

    /// - Returns: what ends it.
    private func begin(
        _ episode: FaultPlan.Episode, _ node: SimulatedNode, _ random: inout SplitMix64
    ) -> () -> Void {
        let length = episode.length.nanoseconds
        switch episode.kind {
        case .loss, .duplication, .reordering, .corruption, .bandwidth, .jitter, .clockDrift, .slowDisk, .tornWrite:
            return {}
        case .clogging: return clog(node, length, &random)
        case .partition, .oneWayPartition, .bridge, .ring:
            return cut(links(of: episode.kind, node, &random))
        case .flapping: return flap(node, &random)
        case .crash:
            switch random.below(3) {
            case 0: node.doom = .write
            case 1: node.doom = .vote
            default: engine.crash(node)
            }
            return { [self] in
                node.doom = nil
                restart(node)
            }
        case .restart:
            engine.stop(node)
            return { [self] in restart(node) }
        case .pause:
            engine.pause(node, nanoseconds: length)
            return { [self] in engine.resume(node) }
        case .preemption:
            let range = FaultRange.preemptionNanoseconds
            let longest = range.lowerBound + Int64(random.below(UInt64(range.upperBound - range.lowerBound)))
            node.holdUp = (longest, SplitMix64(seed: random.next()))
            return { node.holdUp = nil }
        case .wipe:
            engine.crash(node)
            mustReplace.insert(node.position)
            return { [self] in restart(node) }
        case .regionLoss:
            let lost = engine.nodes.filter { $0.descriptor.region == node.descriptor.region }
            for other in lost { engine.crash(other) }
            return { [self] in for other in lost { restart(other) } }
        case .powerCut:
            let share = [3, 6, 10][Int(random.below(3))]
            let hit = engine.nodes.filter { _ in random.below(10) < share }
            for other in hit { engine.crash(other) }
            return { [self] in for other in hit { restart(other) } }
        case .clockStrobe:
            let interval = 1_000_000 + Int64(random.below(500_000_000))
            node.inject(.strobe(everyNanoseconds: interval), at: engine.trueTime)
            return { node.healClock() }
        case .clockLoss:
            node.inject(random.below(2) == 0 ? .losePolls : .loseBound, at: engine.trueTime)
            return { node.healClock() }
        case .clockStep:
            let limit = FaultRange.stepNanoseconds
            node.inject(
                .lie(byNanoseconds: Int64(random.below(UInt64(2 * limit))) - limit), at: engine.trueTime)
            return { node.healClock() }
        case .clockFreeze:
            node.inject(.freeze, at: engine.trueTime)
            return { node.healClock() }
        case .clockJump:
            let range = FaultRange.jumpNanoseconds
            let jump = range.lowerBound + Int64(random.below(UInt64(range.upperBound - range.lowerBound)))
            let isForGood = random.below(3) == 0 && node.position == plan.victim
            if isForGood { clockIsGone.insert(node.position) }
            node.inject(.lie(byNanoseconds: random.below(2) == 0 ? jump : -jump), at: engine.trueTime)
            return { if !isForGood { node.healClock() } }
        case .sleep:
            // It is woken below, before its own time.
            engine.pause(node, nanoseconds: length + 1_000_000)
            let start = engine.now
            let wallClockSlept = random.below(2) == 0
            let resetAfter = Int64(random.below(UInt64(FaultRange.resetNanoseconds)))
            return { [self] in wake(node, since: start, wallClockSlept: wallClockSlept, resetAfter: resetAfter) }
        case .diskStall:
            node.stalledUntil = engine.now + length
            return { node.stalledUntil = 0 }
        case .diskFull:
            // Every node's disk can fill up at once: nothing is lost by it.
            let full = random.below(4) == 0 ? engine.nodes : [node]
            for other in full { other.storage.trouble.isFull = true }
            return { for other in full { other.storage.trouble.isFull = false } }
        case .failedSync:
            node.storage.trouble.failsNextSync = true
            return { [self] in
                node.storage.trouble.failsNextSync = false
                if node.isLogDead {
                    engine.crash(node)
                    restart(node)
                }
            }
        case .lyingSync:
            node.storage.trouble.liesAboutSyncs = true
            return { [self] in
                engine.crash(node)
                node.storage.trouble.liesAboutSyncs = false
                restart(node)
            }
        case .misdirectedWrite, .bitRot, .truncation:
            engine.crash(node)
            let damage: DiskDamage =
                episode.kind == .bitRot ? .bitRot : episode.kind == .truncation ? .truncation : .misdirectedWrite
            node.hasDamagedFiles = true
            node.storage.damage(damage, in: FileKind.allCases[Int(random.below(2))])
            return { [self] in restart(node) }
        case .leaseTransfer:
            engine.transferLeases(of: node, using: &random)
            return {}
        }
    }

    private func wake(_ node: SimulatedNode, since start: Int64, wallClockSlept: Bool, resetAfter: Int64) {
        let slept = engine.now - start
        node.inject(.loseInstants(byNanoseconds: slept), at: engine.trueTime)
        if wallClockSlept, !isOver, !clockIsGone.contains(node.position) {
            node.inject(.lie(byNanoseconds: -slept), at: engine.trueTime)
            engine.after(resetAfter) { [self] in if !isOver { node.healClock() } }
        }
        engine.resume(node)
    }

    // MARK: Processes

    /// Starts a node as its operator would: one whose disk is gone, or has broken its promises, is replaced.
    private func restart(_ node: SimulatedNode) {
        guard !node.isRunning else { return }
        if mustReplace.remove(node.position) != nil || node.storage.hasBrokenPromises {
            engine.replace(node)
        } else {
            engine.start(node)
        }
    }

    /// Files that do not match their checksums are thrown away; the others have copies.
    private func cannotStart(_ node: SimulatedNode, _ error: MeridianError) {
        guard error.code == .corruption || error.code == .notADatabase else { return }
        mustReplace.insert(node.position)
        engine.after(10_000_000) { [self] in restart(node) }
    }

    // MARK: Links

    private typealias Pair = (from: Int, to: Int)

    private func cut(_ links: [Pair]) -> () -> Void {
        for link in links { engine.network.cut(from: link.from, to: link.to) }
        return { [self] in for link in links { engine.network.mend(from: link.from, to: link.to) } }
    }

    /// Which links a partition cuts. Bridge and ring are Jepsen's: two halves that share one node, and nodes that each
    /// see their neighbours alone.
    private func links(of kind: FaultKind, _ node: SimulatedNode, _ random: inout SplitMix64) -> [Pair] {
        let count = engine.nodes.count
        let order = (0..<count).shuffled(using: &random)
        let hit: (Int, Int) -> Bool
        switch kind {
        case .ring:
            var place = [Int](repeating: 0, count: count)
            for (position, member) in order.enumerated() { place[member] = position }
            hit = { from, to in
                let distance = abs(place[from] - place[to])
                return min(distance, count - distance) > 1
            }
        case .bridge:
            let left = Set(order.prefix(count / 2))
            hit = { from, to in
                from != node.position && to != node.position && left.contains(from) != left.contains(to)
            }
        default:
            // One node, a random set, or a whole region against the rest.
            var side: Set<Int> = [node.position]
            switch random.below(3) {
            case 0: break
            case 1: side = Set(order.prefix(1 + Int(random.below(UInt64(max(1, count - 1))))))
            default:
                let region = node.descriptor.region
                side = Set(engine.nodes.filter { $0.descriptor.region == region }.map(\.position))
            }
            let isOneWay = kind == .oneWayPartition
            let goesOut = random.below(2) == 0
            hit = { from, to in
                guard side.contains(from) != side.contains(to) else { return false }
                return !isOneWay || side.contains(from) == goesOut
            }
        }
        var links: [Pair] = []
        for from in 0..<count { for to in 0..<count where from != to && hit(from, to) { links.append((from, to)) } }
        return links
    }

    /// Clogs random links of a node one by one, and unclogs them in another order (FoundationDB's swizzle).
    private func clog(_ node: SimulatedNode, _ length: Int64, _ random: inout SplitMix64) -> () -> Void {
        for other in engine.nodes where other !== node {
            for isOut in [true, false] where random.below(3) > 0 {
                let begin = Int64(random.below(UInt64(length)))
                let end = begin + Int64(random.below(UInt64(length - begin))) + engine.now
                engine.after(begin) { [self] in
                    guard !isOver else { return }
                    engine.network.clog(
                        from: isOut ? node.position : other.position, to: isOut ? other.position : node.position,
                        until: end)
                }
            }
        }
        return {}
    }

    private func flap(_ node: SimulatedNode, _ random: inout SplitMix64) -> () -> Void {
        let pairs = links(of: .partition, node, &random)
        let range = FaultRange.flapNanoseconds
        let period = range.lowerBound + Int64(random.below(UInt64(range.upperBound - range.lowerBound)))
        var mend: (() -> Void)?
        var isEnded = false
        func turn() {
            guard !isEnded else { return }
            if let heal = mend {
                heal()
                mend = nil
            } else {
                mend = cut(pairs)
            }
            engine.after(period, turn)
        }
        turn()
        return {
            isEnded = true
            mend?()
        }
    }
}
