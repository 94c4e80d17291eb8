defmodule Shop.Cart do
  @moduledoc """
  What a customer wants to buy.
  """
  use GenServer
  alias Shop.{Item, Price}

  @timeout 5_000
  @type t :: %__MODULE__{items: [Item.t()], total: integer}

  defstruct items: [], total: 0

  @callback price(Item.t()) :: integer

  defmodule Error do
    defexception [:message]
  end

  @doc "Starts an empty cart."
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(opts \\ []) do
    GenServer.start_link(__MODULE__, opts, name: __MODULE__)
  end

  # Quantities are added up.
  @doc """
  Adds an item.
  """
  def add(%__MODULE__{} = cart, item) when is_map(item) do
    %{cart | items: [item | cart.items], total: cart.total + price(item)}
  end

  def add(cart, nil), do: cart

  defp price(%Item{cents: cents}), do: cents

  defmacro with_cart(do: block) do
    quote do
      unquote(block)
    end
  end

  defguard is_cart(value) when is_struct(value, __MODULE__)

  @impl true
  def handle_call(:total, _from, cart) do
    {:reply, cart.total, cart}
  end

  defdelegate size(cart), to: Enum, as: :count
end

defprotocol Shop.Priced do
  @doc "In cents."
  def cents(value)
end

defimpl Shop.Priced, for: Shop.Item do
  def cents(item), do: item.cents
end
