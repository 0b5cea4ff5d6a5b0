/// Columns under a heading, as wide as their widest cell.
package struct TextTable: Sendable {
    package enum Side: Sendable { case left, right }

    package struct Cell: Sendable {
        package var text: String
        package var colour: Style.Colour?
        package init(_ text: String, _ colour: Style.Colour? = nil) {
            self.text = text
            self.colour = colour
        }
    }

    private enum Row {
        case cells([Cell])
        case note(String, Style.Colour?)
        case rule
    }

    private let columns: [(title: String, side: Side)]
    private var rows: [Row] = []
    private let gap = "  "

    package init(_ columns: [(title: String, side: Side)]) { self.columns = columns }

    package var isEmpty: Bool { rows.isEmpty }

    package mutating func add(_ cells: [Cell]) { rows.append(.cells(cells)) }
    package mutating func add(_ texts: [String]) { rows.append(.cells(texts.map { Cell($0) })) }
    /// A line that does not care about the columns.
    package mutating func note(_ text: String, _ colour: Style.Colour? = nil) {
        rows.append(.note(text, colour))
    }
    package mutating func rule() { rows.append(.rule) }

    package func lines(_ style: Style, indent: String = "") -> [String] {
        var widths = columns.map(\.title.count)
        for case .cells(let cells) in rows {
            for (index, cell) in cells.enumerated() where index < widths.count {
                widths[index] = max(widths[index], cell.text.count)
            }
        }
        let width = widths.reduce(0, +) + gap.count * (widths.count - 1)
        let title = columns.map { Cell($0.title, .faint) }
        return [indent + line(title, widths, style)]
            + rows.map { row in
                switch row {
                case .cells(let cells): indent + line(cells, widths, style)
                case .note(let text, let colour): indent + (colour.map { style($0, text) } ?? text)
                case .rule: indent + style(.faint, String(repeating: "-", count: width))
                }
            }
    }

    private func line(_ cells: [Cell], _ widths: [Int], _ style: Style) -> String {
        let last = cells.lastIndex { !$0.text.isEmpty } ?? 0
        var line = ""
        for (index, cell) in cells.enumerated() where index <= last && index < widths.count {
            let blanks = String(repeating: " ", count: widths[index] - cell.text.count)
            let text = cell.colour.map { style($0, cell.text) } ?? cell.text
            if index > 0 { line += gap }
            switch columns[index].side {
            case .left: line += index == last ? text : text + blanks
            case .right: line += blanks + text
            }
        }
        return line
    }
}
