import React, { useState } from 'react'

interface Props {
  title: string
  onSelect?: (id: string) => void
}

type Item = { id: string; label: string }

const PAGE_SIZE = 20

/** One row of the list. */
function Row({ item, onSelect }: { item: Item } & Pick<Props, 'onSelect'>) {
  return (
    <li onClick={() => onSelect?.(item.id)}>
      <span>{item.label}</span>
    </li>
  )
}

export const List: React.FC<Props & { items: Item[] }> = ({ title, items, onSelect }) => {
  const [page, setPage] = useState(0)
  const next = () => setPage((p) => p + 1)
  const shown = items.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
  return (
    <section>
      <h1>{title}</h1>
      <ul>
        {shown.map((item) => (
          <Row key={item.id} item={item} onSelect={onSelect} />
        ))}
      </ul>
      <button onClick={next}>More</button>
    </section>
  )
}

export class Boundary extends React.Component<Props, { failed: boolean }> {
  state = { failed: false }

  static getDerivedStateFromError() {
    return { failed: true }
  }

  render() {
    return this.state.failed ? <p>Sorry.</p> : this.props.children
  }
}

export default React.memo(function Page(props: Props) {
  return <List {...props} items={[]} />
})
