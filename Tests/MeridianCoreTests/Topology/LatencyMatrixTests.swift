import MeridianCore
import Testing

@Suite struct LatencyMatrixTests {
    private let regions: [Region] = ["a", "b", "c"]

    private func expectInvalid(
        naming fragments: String..., make: () throws(MeridianError) -> LatencyMatrix,
        location: SourceLocation = #_sourceLocation
    ) {
        do {
            _ = try make()
            Issue.record("accepted, expected an error that names \(fragments)", sourceLocation: location)
        } catch {
            #expect(error.code == .invalidLatencyMatrix, sourceLocation: location)
            for fragment in fragments {
                #expect(error.message.contains(fragment), "\(error.message)", sourceLocation: location)
            }
        }
    }

    @Test func builtInTableHasTheFiguresOfItsSource() {
        #expect(LatencyMatrix.aws.regions.count == 10)
        #expect(LatencyMatrix.aws.roundTripNanoseconds(from: "us-east-1", to: "eu-west-1") == 70_000_000)
        #expect(LatencyMatrix.aws.roundTripNanoseconds(from: "sa-east-1", to: "ap-southeast-1") == 322_000_000)
        #expect(LatencyMatrix.aws.roundTripNanoseconds(from: "eu-west-1", to: "eu-west-1") == 1_000_000)
        #expect(LatencyMatrix.aws.oneWayNanoseconds(from: "eu-central-1", to: "eu-west-1") == 13_500_000)
    }

    @Test func matrixIsSymmetric() {
        for a in LatencyMatrix.aws.regions {
            for b in LatencyMatrix.aws.regions {
                #expect(
                    LatencyMatrix.aws.roundTripNanoseconds(from: a, to: b)
                        == LatencyMatrix.aws.roundTripNanoseconds(from: b, to: a))
            }
        }
    }

    @Test func twoDirectionsWithinTheToleranceAreStoredAsTheirMean() throws {
        let matrix = try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[1, 100], [91, 1]])
        #expect(matrix.roundTripNanoseconds(from: "a", to: "b") == 95_500_000)
        #expect(matrix.roundTripNanoseconds(from: "b", to: "a") == 95_500_000)
    }

    @Test func smallFiguresMayDifferByTheGrainOfTables() throws {
        let matrix = try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, 1], [2, 0]])
        #expect(matrix.roundTripNanoseconds(from: "a", to: "b") == 1_500_000)
    }

    @Test func asymmetryBeyondTheToleranceIsRefusedWithBothCells() throws {
        expectInvalid(naming: "a → b", "b → a", "10.0 %", "asymmetryTolerance") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[1, 100], [80, 1]])
        }
        _ = try LatencyMatrix(
            regions: ["a", "b"], roundTripMilliseconds: [[1, 100], [80, 1]], asymmetryTolerance: 0.25)
    }

    @Test func damagedTablesAreRefusedNamingTheCell() {
        expectInvalid(naming: "no regions") { () throws(MeridianError) in
            try LatencyMatrix(regions: [], roundTripMilliseconds: [])
        }
        expectInvalid(naming: "\"a\"", "twice") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "a"], roundTripMilliseconds: [[0, 0], [0, 0]])
        }
        expectInvalid(naming: "empty name") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", ""], roundTripMilliseconds: [[0, 0], [0, 0]])
        }
        expectInvalid(naming: "2 regions but 1 rows") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, 0]])
        }
        expectInvalid(naming: "row \"b\" has 1 cells") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, 0], [0]])
        }
        expectInvalid(naming: "a → b", "nan") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, .nan], [0, 0]])
        }
        expectInvalid(naming: "b → a", "inf") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, 0], [.infinity, 0]])
        }
        expectInvalid(naming: "b → a", "negative") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, 0], [-1, 0]])
        }
        expectInvalid(naming: "a → b", "write milliseconds") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a", "b"], roundTripMilliseconds: [[0, 7e7], [7e7, 0]])
        }
        expectInvalid(naming: "tolerance") { () throws(MeridianError) in
            try LatencyMatrix(regions: ["a"], roundTripMilliseconds: [[0]], asymmetryTolerance: .nan)
        }
    }

    @Test func textIsReadInAnyRowOrderWithCommentsAndWindowsLines() throws {
        let matrix = try LatencyMatrix(csv: "\u{FEFF}# measured in May\r\nregion, a ,b\r\n\r\nb,5,1\r\na,1,5.5\r\n")
        #expect(matrix.regions == ["a", "b"])
        #expect(matrix.roundTripNanoseconds(from: "a", to: "b") == 5_250_000)
    }

    @Test func damagedTextIsRefusedNamingTheLine() {
        let cases: [(String, [String])] = [
            ("", ["empty", "header"]),
            ("name,a\na,1", ["line 1", "\"name\""]),
            ("region,a,b\na,1,2", ["\"b\"", "add the row"]),
            ("region,paris\nparsi,1", ["line 2", "\"parsi\"", "Did you mean \"paris\"?"]),
            ("region,a\na,1\na,1", ["line 3", "repeats"]),
            ("region,a,b\na,1\nb,1,1", ["line 2", "1 times", "2 regions"]),
            ("region,a\na,fast", ["line 2", "a → a", "\"fast\""]),
            ("region,a\na,", ["line 2", "not a number"]),
            ("region,a,a\na,1,1", ["\"a\"", "twice"]),
            ("region,a\na,nan", ["a → a", "nan"]),
        ]
        for (text, fragments) in cases {
            do {
                _ = try LatencyMatrix(csv: text)
                Issue.record("accepted \(text)")
            } catch {
                #expect(error.code == .invalidLatencyMatrix)
                for fragment in fragments { #expect(error.message.contains(fragment), "\(error.message)") }
            }
        }
    }

    @Test func uniformMatrixHasOneDistanceAndNoneHasNoDistance() throws {
        let matrix = try LatencyMatrix.uniform(regions: regions, milliseconds: 40, withinRegionMilliseconds: 0.5)
        #expect(matrix.roundTripNanoseconds(from: "a", to: "c") == 40_000_000)
        #expect(matrix.roundTripNanoseconds(from: "b", to: "b") == 500_000)
        #expect(LatencyMatrix.none.contains("anywhere"))
        #expect(LatencyMatrix.none.roundTripNanoseconds(from: "anywhere", to: "elsewhere") == 0)
    }

    @Test func unknownRegionIsRefusedWithTheNearestName() {
        #expect(throws: MeridianError.self) { try LatencyMatrix.aws.require("eu-wset-1") }
        do throws(MeridianError) {
            try LatencyMatrix.aws.require("eu-wset-1")
        } catch {
            #expect(error.code == .unknownRegion)
            #expect(error.message.contains("Did you mean \"eu-west-1\"?"))
        }
    }
}
