//! The left rail: project, the places, the theme.

use egui::{
    Align, Frame, Layout, Margin, Panel, PopupCloseBehavior, RichText, Role, Sense, Ui, WidgetInfo,
    containers::menu::{MenuButton, MenuConfig},
};
use state::{
    Command, Commands, Screen, ThemeChoice, Views, Workspace,
    actions::{Action, entry, key_of},
    keyboard::CommandPalette,
    keyboard::Over,
};

use super::{icon::Pen, parts, prompt, screens, theme::space};

/// Projects that the menu offers; the place lists them all.
const RECENT: usize = 5;

const WIDTH: f32 = 168.0;
/// Room for the end of a folder's path beside a project's name in the menu.
const FOLDER: f32 = 180.0;

pub fn ui(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let palette = parts::palette(ui);
    let frame = Frame::NONE.fill(palette.rail).inner_margin(Margin::symmetric(space::S as i8, space::M as i8));
    Panel::left("rail").exact_size(WIDTH).resizable(false).show_separator_line(false).frame(frame).show(ui, |ui| {
        project(ui, workspace, views, commands);
        ui.add_space(space::L);
        ui.spacing_mut().item_spacing.y = 2.0;
        for screen in Screen::ALL {
            place(ui, screen, &mut views.screen);
        }
        ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
            theme_choice(ui, &mut views.theme);
            for (action, over) in
                [(Action::Help, Over::Help), (Action::Palette, Over::Palette(CommandPalette::default()))]
            {
                if action_button(ui, action).clicked() {
                    views.keyboard.open(over);
                }
            }
        });
    });
}

/// Name of the project; opens the menu for another one.
fn project(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let palette = parts::palette(ui);
    let name = workspace.project.as_ref().map_or("No project", |project| project.name.as_str());
    let text = RichText::new(name).heading().color(palette.strong);
    ui.scope(|ui| {
        ui.visuals_mut().widgets.inactive.weak_bg_fill = egui::Color32::TRANSPARENT;
        ui.visuals_mut().widgets.inactive.bg_stroke = egui::Stroke::NONE;
        let button = egui::Button::new(text)
            .right_text(RichText::new("⏷").color(palette.weak))
            .truncate()
            .min_size(egui::vec2(ui.available_width(), 32.0));
        let config = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
        let menu = MenuButton::from_button(button).config(config);
        let (response, _) = menu.ui(ui, |ui| {
            ui.set_min_width(300.0);
            menu_items(ui, workspace, views, commands);
        });
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, format!("Project {name}")));
    });
}

fn menu_items(ui: &mut Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    let open = workspace.project.as_ref();
    if let Some(project) = open {
        parts::caption(ui, project.dir.display().to_string());
        ui.separator();
    }
    for (word, action, form) in
        [("New project…", Action::NewProject, true), ("Open a project…", Action::OpenProject, false)]
    {
        let item = ui.add(egui::Button::new(word).shortcut_text(key_of(action)));
        prompt::name(&item, Role::Button, word);
        if item.clicked() {
            views.screen = Screen::Projects;
            views.projects.form_opens |= form;
            ui.close();
        }
    }
    ui.separator();
    let others = views.projects.recent.iter();
    let others = others.filter(|recent| open.is_none_or(|open| open.dir != recent.dir));
    for recent in others.take(RECENT) {
        ui.push_id(&recent.dir, |ui| {
            let dir = recent.dir.display().to_string();
            let namesake = views.projects.has_namesake(recent);
            let mut item = egui::Button::new(&recent.name);
            if namesake {
                // Two of one name are told apart by where they are.
                let font = egui::TextStyle::Small.resolve(ui.style());
                let tail = parts::tail(ui, &dir, &font, FOLDER);
                item = item.right_text(RichText::new(tail).small().color(parts::palette(ui).weak));
            }
            let item = ui.add(item);
            prompt::name(&item, Role::Button, &screens::projects::spoken(recent, namesake));
            if item.on_hover_text(dir).clicked() {
                commands.push(Command::OpenProject(recent.dir.clone()));
                ui.close();
            }
        });
    }
    if ui
        .button("Open a bundle…")
        .on_hover_text("A run that somebody put into a file; it can also be dropped on the window")
        .clicked()
    {
        commands.push(Command::PickBundle);
        ui.close();
    }
    if ui.button("Open the demo project").clicked() {
        commands.push(Command::OpenDemo);
        ui.close();
    }
}

fn place(ui: &mut Ui, screen: Screen, current: &mut Screen) {
    let palette = parts::palette(ui);
    let selected = *current == screen;
    let (rect, response) = ui.allocate_exact_size(egui::vec2(ui.available_width(), 34.0), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, screen.title()));
    let fill = if selected {
        palette.accent_soft
    } else if response.hovered() || response.has_focus() {
        super::theme::mix(palette.rail, palette.strong, 0.06)
    } else {
        egui::Color32::TRANSPARENT
    };
    let painter = ui.painter();
    painter.rect_filled(rect, super::theme::RADIUS, fill);
    if response.has_focus() {
        painter.rect_stroke(
            rect,
            super::theme::RADIUS,
            egui::Stroke::new(1.5, palette.accent),
            egui::StrokeKind::Inside,
        );
    }
    let color = if selected { palette.accent } else { palette.text };
    let picture =
        egui::Rect::from_center_size(egui::pos2(rect.left() + 20.0, rect.center().y), egui::Vec2::splat(16.0));
    (screens::of(screen).icon)(&Pen { painter, rect: picture, color });
    painter.text(
        egui::pos2(rect.left() + 40.0, rect.center().y),
        egui::Align2::LEFT_CENTER,
        screen.title(),
        egui::TextStyle::Body.resolve(ui.style()),
        if selected { palette.strong } else { palette.text },
    );
    painter.text(
        egui::pos2(rect.right() - 10.0, rect.center().y),
        egui::Align2::RIGHT_CENTER,
        key_of(Action::Go(screen)),
        egui::TextStyle::Small.resolve(ui.style()),
        palette.weak.gamma_multiply(if response.hovered() || selected { 1.0 } else { 0.0 }),
    );
    if response.on_hover_text(screen.purpose()).clicked() {
        *current = screen;
    }
}

/// A quiet button with the name and the key of an action.
fn action_button(ui: &mut Ui, action: Action) -> egui::Response {
    let color = parts::palette(ui).weak;
    let small = |text: &str| RichText::new(text).small().color(color);
    let (name, help) = entry(action).map_or(("", ""), |entry| (entry.name, entry.help));
    let button = egui::Button::new(small(name)).right_text(small(&key_of(action))).frame_when_inactive(false);
    let button = ui.add(button.min_size(egui::vec2(ui.available_width(), 24.0))).on_hover_text(help);
    prompt::name(&button, Role::Button, name);
    button
}

fn theme_choice(ui: &mut Ui, choice: &mut ThemeChoice) {
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        ui.spacing_mut().button_padding = egui::vec2(7.0, 3.0);
        for (value, word) in
            [(ThemeChoice::System, "System"), (ThemeChoice::Light, "Light"), (ThemeChoice::Dark, "Dark")]
        {
            let text = RichText::new(word).small();
            ui.selectable_value(choice, value, text).on_hover_text("Colours of the window");
        }
    });
}
