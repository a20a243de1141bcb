import Foundation
import MeridianCore
import MeridianPlacement

/// The report for machines. Times are milliseconds.
extension PlanReport {
    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(Document(self)), as: UTF8.self)
    }

    private struct Document: Encodable {
        var regions: [String]
        var matrix: String
        var epsilonMilliseconds: Double
        var electionTimeoutMilliseconds: Double
        var tables: [TableObject]

        init(_ report: PlanReport) {
            regions = report.plan.topology.regions.map(\.rawValue)
            matrix = report.plan.matrixSource
            epsilonMilliseconds = report.plan.epsilonNanoseconds.milliseconds
            electionTimeoutMilliseconds = report.plan.electionTimeoutNanoseconds.milliseconds
            tables = report.tables.map(TableObject.init)
        }
    }

    private struct TableObject: Encodable {
        var name: String
        var declaredMode: String?
        var keepsWishes: Bool
        var missed: [WishObject]
        var recommendation: Advice
        var modes: [ModeObject]

        init(_ table: Table) {
            name = table.table.name
            declaredMode = table.table.mode?.description
            keepsWishes = table.missed.isEmpty
            missed = table.missed.map(WishObject.init)
            recommendation = Advice(table.recommendation)
            modes = table.modes.map(ModeObject.init)
        }
    }

    private struct WishObject: Encodable {
        var wish: String
        var reason: String

        init(_ wish: ModePrediction.Wish) {
            self.wish = wish.name
            reason = wish.reason
        }
    }

    private struct Advice: Encodable {
        struct Step: Encodable {
            var question: String
            var answer: String
            var inputs: [String]
        }

        var pattern: String
        var mode: String?
        var advice: [String]
        var missed: [WishObject]
        var steps: [Step]

        init(_ recommendation: Recommendation) {
            pattern = recommendation.pattern.rawValue
            mode = recommendation.mode?.description
            advice = recommendation.advice
            missed = recommendation.missed.map(WishObject.init)
            steps = recommendation.steps.map { Step(question: $0.question, answer: $0.answer, inputs: $0.inputs) }
        }
    }

    private struct ModeObject: Encodable {
        var mode: String
        var refusal: String?
        var missed: [WishObject]
        var homes: [HomeObject]

        init(_ prediction: ModePrediction) {
            mode = prediction.mode.description
            refusal = prediction.refusal
            missed = prediction.missed.map(WishObject.init)
            homes = prediction.homes.map(HomeObject.init)
        }
    }

    private struct HomeObject: Encodable {
        struct MemberObject: Encodable {
            var node: UInt32
            var region: String
            var role: String
        }

        var home: String?
        var shortfall: String?
        var members: [MemberObject]
        var clients: [ClientObject]
        var failures: [FailureObject]
        var cost: CostObject

        init(_ prediction: HomePrediction) {
            home = prediction.home?.rawValue
            shortfall = prediction.shortfall
            members = prediction.members.map {
                MemberObject(node: $0.node.rawValue, region: $0.region.rawValue, role: "\($0.role)")
            }
            clients = prediction.clients.map(ClientObject.init)
            failures = prediction.failures.map(FailureObject.init)
            cost = CostObject(prediction.cost)
        }
    }

    private struct ClientObject: Encodable {
        struct Latency: Encodable {
            var p50Milliseconds: Double
            var floorMilliseconds: Double
            var routeMilliseconds: Double
            var waitMilliseconds: Double
            var engineMilliseconds: Double
            var limitedBy: String
            var servedIn: String

            init(_ prediction: LatencyPrediction) {
                p50Milliseconds = prediction.p50Nanoseconds.milliseconds
                floorMilliseconds = prediction.floorNanoseconds.milliseconds
                routeMilliseconds = prediction.routeNanoseconds.milliseconds
                waitMilliseconds = prediction.waitNanoseconds.milliseconds
                engineMilliseconds = prediction.engineNanoseconds.milliseconds
                limitedBy = prediction.limit.rawValue
                servedIn = prediction.servedIn.rawValue
            }
        }

        var region: String
        var write: Latency
        var strongRead: Latency?
        var nearestRead: Latency
        var stalenessMilliseconds: Double

        init(_ prediction: ClientPrediction) {
            region = prediction.region.rawValue
            write = Latency(prediction.write)
            strongRead = prediction.strongRead.map(Latency.init)
            nearestRead = Latency(prediction.nearestRead)
            stalenessMilliseconds = prediction.stalenessNanoseconds.milliseconds
        }
    }

    private struct FailureObject: Encodable {
        var failure: String
        var kind: String
        /// `nothing`, `last` or `everything`.
        var loss: String
        var lossMilliseconds: Double?
        /// `unaffected`, `after`, `promotion` or `untilItReturns`.
        var recovery: String
        var recoveryMilliseconds: Double?
        var recoveryAtMostMilliseconds: Double?
        var clients: [String]
        var writable: [String]
        var strongReadable: [String]
        var staleReadable: [String]

        init(_ prediction: FailurePrediction) {
            failure = prediction.failure.description
            kind = prediction.kind.rawValue
            switch prediction.loss {
            case .nothing: loss = "nothing"
            case .last(let nanoseconds):
                loss = "last"
                lossMilliseconds = nanoseconds.milliseconds
            case .everything: loss = "everything"
            }
            switch prediction.recovery {
            case .unaffected: recovery = "unaffected"
            case .after(let nanoseconds):
                recovery = "after"
                recoveryMilliseconds = nanoseconds.milliseconds
            case .promotion: recovery = "promotion"
            case .untilItReturns: recovery = "untilItReturns"
            }
            recoveryAtMostMilliseconds = prediction.recoveryAtMostNanoseconds?.milliseconds
            clients = prediction.clients.map(\.rawValue)
            writable = prediction.writable.map(\.rawValue)
            strongReadable = prediction.strongReadable.map(\.rawValue)
            staleReadable = prediction.staleReadable.map(\.rawValue)
        }
    }

    private struct CostObject: Encodable {
        var voters: Int
        var learners: Int
        var regions: Int
        var storedBytesPerByte: Int
        var crossRegionBytesPerWrite: Double
        var crossRegionBytesPerSecond: Double
        var pullsPerSecond: Double

        init(_ cost: CostPrediction) {
            voters = cost.voters
            learners = cost.learners
            regions = cost.regions
            storedBytesPerByte = cost.storedBytesPerByte
            crossRegionBytesPerWrite = cost.crossRegionBytesPerWrite
            crossRegionBytesPerSecond = cost.crossRegionBytesPerSecond
            pullsPerSecond = cost.pullsPerSecond
        }
    }
}

extension Int64 {
    fileprivate var milliseconds: Double { Double(self) / 1_000_000 }
}
