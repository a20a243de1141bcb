import BenchSupport
import Foundation
import Meridian
import Testing

@testable import meridian_cli

/// What the demo reads and prints, and whether its audit would notice a leak.
@Suite(.timeLimit(.minutes(1))) struct DemoFormatTests {
    @Test func everyCityOfTheFileIsRead() throws {
        let cities = try CityFile.cities(in: try CityFile.bytes())
        #expect(cities.count == 34_006)
        #expect(Set(cities.map(\.id)).count == cities.count)
        #expect(Set(cities.map(\.region)) == Set(DemoWorld.regions.map(\.rawValue)))
        #expect(cities.contains { $0.name == "Misato, Saitama" && $0.country == "JP" })
    }

    @Test(arguments: [
        ("1,Rome,IT", ["1", "Rome", "IT"]), ("1,\"Misato, Saitama\",JP", ["1", "Misato, Saitama", "JP"]),
        ("\"a \"\"b\"\"\",,c", ["a \"b\"", "", "c"]), ("", [""]),
    ])
    func quotedFieldsMayHoldCommasAndQuotes(line: String, fields: [String]) {
        #expect(CityFile.fields(of: line.utf8) == fields)
    }

    @Test func aLineThatIsNoCityIsNamed() throws {
        let text = "geonameid,name,country,continent,population,latitude,longitude,timezone\r\n1,Rome,IT\r\n"
        let error = #expect(throws: MeridianError.self) { try CityFile.cities(in: Array(text.utf8)) }
        #expect(error?.code == .corruption)
        #expect(error?.message.contains("line 2") == true)
    }

    @Test func countriesAreUnderTheLawOfTheirUnion() {
        #expect(DemoWorld.home(ofCountry: "FI") == "eu-central-1")
        #expect(DemoWorld.home(ofCountry: "GB") == DemoWorld.defaultRegion)
        #expect(DemoWorld.home(ofCountry: "BR") == "sa-east-1")
    }

    @Test func tablesAreAsWideAsTheirWidestCells() {
        var table = TextTable(["", "ms"])
        table.add(["São Paulo", "1.5"])
        #expect(table.lines == ["            ms", "─────────  ───", "São Paulo  1.5"])
    }

    @Test func numbersAreWrittenForPeople() {
        #expect(Decimals.grouped(34_006) == "34,006")
        #expect(Decimals.grouped(-1_000_000) == "-1,000,000")
        #expect(Decimals.fixed(1.26) == "1.3")
        #expect(Decimals.fixed(-0.04) == "0.0")
        #expect(Decimals.fixed(2.05, 2) == "2.05")
    }

    @Test func byteScanFindsEveryOccurrence() {
        let scan = ByteScan([Array("Reykjavík".utf8), Array("Reyk".utf8), Array("none".utf8)])
        let text = Array("ReykReykjavík..Reykjaví".utf8)
        #expect(text.withUnsafeBytes { scan.counts(in: $0) } == [1, 3, 0])
        #expect([1, 2].withUnsafeBytes { scan.counts(in: UnsafeRawBufferPointer(rebasing: $0[..<2])) } == [0, 0, 0])
    }

    @Test func figuresWithALimitSayWhetherItHolds() throws {
        struct Document: Decodable {
            struct Figure: Decodable { var name: String, value: Double, bound: String?, holds: Bool? }
            var environment: [String: String]
            var figures: [Figure]
        }
        let report = FigureReport()
        report.add("demo.load", 1.5, "s")
        report.add("demo.rows", 5, "rows", .atLeast, 6)
        let document = try JSONDecoder().decode(Document.self, from: Data(try report.json().utf8))
        #expect(document.figures.map(\.name) == ["demo.load", "demo.rows"])
        #expect(document.figures.map(\.holds) == [nil, false])
        #expect(document.environment["sqlite"]?.hasPrefix("3.") == true)
    }

    /// The audit is itself tested: a table of the same name whose rows may leave their jurisdiction must be caught.
    @Test func theAuditFindsRowsThatLeftTheirJurisdiction() async throws {
        let files = try DemoDirectory(nil)
        defer { files.removeIfTemporary() }
        let topology = try DemoWorld.topology()
        let file = try CityFile.bytes()
        let cities = try CityFile.cities(in: file).filter { $0.region == "eu-central-1" }
        let leaky = Table<City>(
            "cities", key: \.id, locality: .regionalByRow(\.region), survival: .region, placement: .unrestricted)
        let cluster = try await EmbeddedCluster(
            topology: topology,
            configuration: ClusterConfiguration(storage: .directory(files.path), simulatesLatency: false))
        do {
            try await cluster.database(in: "eu-central-1").write { transaction in
                for city in cities { try await transaction.insert(city, into: leaky) }
            }
            // Until the replicas abroad have heard that the entry is committed, only their logs hold it.
            try await Task.sleep(for: .seconds(1))
        } catch {
            await cluster.shutdown()
            throw error
        }
        await cluster.shutdown()
        let audit = try await DemoResidency(
            topology: topology, directory: files.path, cities: cities, cityFile: file, seed: 1
        ).audit()
        #expect(audit.found == cities.count)
        #expect(audit.rowsOutside >= cities.count)
        #expect(audit.entriesOutside >= cities.count)
        #expect(audit.canariesOutside > Canaries.namesPerJurisdiction)
    }
}
